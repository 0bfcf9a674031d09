"""From chat messages to tokens, and which of them are trained: those that the assistant wrote.

TRL finds the assistant's tokens inside a conversation only where the model's chat template marks
them, and few do. Here the template itself is asked, whatever it is: the text of a conversation is
compared with what the model reads before each turn and what it has then written.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from metaplan.core import DataError
from metaplan.training.datasets import Example

__all__ = ["Tokenised", "tokenise"]

_log = logging.getLogger(__name__)
_Message = dict[str, Any]
_NOT_TRAINED = -100  # the label that losses leave out
_ROWS_AT_ONCE = 1000  # offsets of characters take a kilobyte for ten tokens
_COLUMNS = {
    "completion": ("input_ids", "labels"),
    "chosen": ("chosen_ids", "chosen_labels"),
    "rejected": ("rejected_ids", "rejected_labels"),
}


class Tokenised(NamedTuple):
    """A dataset as a trainer reads it.

    Attributes:
        dataset: A ``datasets.Dataset``. For SFT ``input_ids`` and ``labels``, which are -100 where
            nothing is trained; for DPO the same with ``chosen_`` and ``rejected_``.
        truncated: Examples with more tokens than the limit, which lost their end.
    """

    dataset: Any
    truncated: int


class _Text(NamedTuple):
    """A conversation as the template writes it, and from where to where it is trained."""

    text: str
    turns: list[tuple[int, int]]


class _Template:
    """A model's chat template, whatever it writes."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._special = tuple(
            token.content for token in tokenizer.added_tokens_decoder.values() if token.special
        )

    def read(self, prompt: list[_Message], replies: list[_Message]) -> _Text | None:
        """The text of a conversation; None where it doesn't begin with what was read at a turn."""
        messages = [*prompt, *replies]
        text = self._write(messages)
        turns: list[tuple[int, int]] = []
        ended = 0
        for at in range(len(prompt), len(messages), 2):
            is_last = at == len(messages) - 1
            start = _agreement(text, self._write(messages[:at], add_generation_prompt=True))
            end = len(text) if is_last else _agreement(text, self._write(messages[: at + 1]))
            asked, said = (messages[index]["content"].strip() for index in (at - 1, at))
            if len(replies) > 1 and not (asked in text[ended:start] and said in text[start:end]):
                return None
            if messages[at].get("weight", 1):
                turns.append((start, self._end_of_turn(text, start, end)))
            ended = end
        return _Text(text, turns)

    def _write(self, messages: list[_Message], **options: bool) -> str:
        return str(self._tokenizer.apply_chat_template(messages, tokenize=False, **options))

    def _end_of_turn(self, text: str, start: int, end: int) -> int:
        """Where the turn's last special token ends: white space that follows, no model writes."""
        written = text[start:end].rstrip()
        return start + len(written) if written.endswith(self._special) else end


def tokenise(examples: Sequence[Example], tokenizer: Any, limit: int, path: Path) -> Tokenised:
    """Tokenises a dataset once, into a file where all processes find it.

    Trained are all messages of role ``assistant`` that aren't in the prompt and whose weight isn't
    0, each with its end-of-turn token. One pass over a conversation trains all its turns, if its
    text begins with what the model read at each of them. Some templates write a turn otherwise once
    it is not the last (they leave out thoughts, say): for SFT, such a conversation becomes one row
    a turn.

    Args:
        examples: Of SFT or of DPO.
        tokenizer: With the chat template.
        limit: What is longer loses its end; what then has nothing to train is left out.
        path: Directory of the dataset; read where it exists.

    Raises:
        DataError: Nothing is left to train, or a conversation of a preference pair, which can't be
            taken apart, can't be read in one pass.
    """
    from datasets import Dataset, load_from_disk

    if not path.exists():
        partial = path.with_name(path.name + ".partial")
        Dataset.from_list(list(_rows(examples, tokenizer, limit))).save_to_disk(partial)
        partial.rename(path)
    dataset = load_from_disk(path)
    lengths = dataset["length"][:]
    lines = zip(dataset["line"][:], lengths, strict=True)
    longer = {line for line, tokens in lines if tokens > limit}
    kept = [at for at, tokens in enumerate(dataset["trained"][:]) if tokens]
    if not kept:
        raise DataError(
            f"every prompt fills the limit of {limit} tokens; raise max_length or choose a model "
            "with a longer context"
        )
    if longer:
        _log.warning(
            "%d of %d examples are longer than %d tokens (the longest has %d) and lose their end",
            len(longer),
            len(examples),
            limit,
            max(lengths),
        )
    return Tokenised(dataset if len(kept) == len(dataset) else dataset.select(kept), len(longer))


def _rows(examples: Sequence[Example], tokenizer: Any, limit: int) -> Iterator[dict[str, Any]]:
    """Columns of each row: tokens and labels, line, tokens before the cut, trained ones after."""
    template = _Template(tokenizer)
    texts = (
        (line, row)
        for line, example in enumerate(examples)
        for row in _texts(example, template, line)
    )
    while batch := list(islice(texts, _ROWS_AT_ONCE)):
        fields = {
            field: _encode([row[field] for _, row in batch], tokenizer) for field in batch[0][1]
        }
        for at, (line, _) in enumerate(batch):
            columns: dict[str, Any] = {"line": line, "length": 0, "trained": limit}
            for field, encoded in fields.items():
                ids, labels = encoded[at]
                trained = sum(label != _NOT_TRAINED for label in labels[:limit])
                columns["length"] = max(columns["length"], len(ids))
                columns["trained"] = min(columns["trained"], trained)
                columns |= zip(_COLUMNS[field], (ids[:limit], labels[:limit]), strict=True)
            yield columns


def _texts(example: Example, template: _Template, line: int) -> list[dict[str, _Text]]:
    """What an example's rows are made from: one row, or one a turn."""
    from jinja2 import TemplateError

    prompt = example["prompt"]
    fields = [field for field in example if field != "prompt"]
    try:
        whole = {field: template.read(prompt, example[field]) for field in fields}
    except TemplateError as error:
        raise DataError(
            f"example {line + 1}: the model's chat template refuses the messages: {error}"
        ) from error
    if all(text is not None for text in whole.values()):
        return [{field: text for field, text in whole.items() if text is not None}]
    if "completion" not in example:
        raise DataError(
            f"example {line + 1}: the model's chat template writes a turn otherwise once others "
            "follow it, so the preference pair can't be compared in one pass; choose a model whose "
            "template keeps what was said (a reasoning model's often doesn't)"
        )
    replies = example["completion"]
    turns = (
        template.read([*prompt, *replies[:at]], [replies[at]]) for at in range(0, len(replies), 2)
    )
    return [{"completion": turn} for turn in turns if turn is not None]


def _agreement(text: str, other: str) -> int:
    """Characters in which two texts agree from the start."""
    if text.startswith(other):
        return len(other)
    pairs = enumerate(zip(text, other, strict=False))
    return next((at for at, (one, another) in pairs if one != another), len(text))


def _encode(texts: list[_Text], tokenizer: Any) -> list[tuple[list[int], list[int]]]:
    """Tokens and labels. A token is trained in whose turn it ends."""
    encoded = tokenizer(
        [text.text for text in texts], add_special_tokens=False, return_offsets_mapping=True
    )
    return [
        (ids, _labels(ids, [end for _, end in offsets], text.turns))
        for text, ids, offsets in zip(
            texts, encoded["input_ids"], encoded["offset_mapping"], strict=True
        )
    ]


def _labels(ids: list[int], ends: list[int], turns: list[tuple[int, int]]) -> list[int]:
    labels = [_NOT_TRAINED] * len(ids)
    at = 0
    for start, end in turns:
        while at < len(ids) and ends[at] <= start:
            at += 1
        while at < len(ids) and ends[at] <= end:
            labels[at] = ids[at]
            at += 1
    return labels
