"""From messages to the token ids that a model reads; in a growing chat only what is new."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

from metaplan.models.contract import Message
from metaplan.models.local.cache import common_prefix

__all__ = ["ChatTokens"]

_SESSIONS = 1024


@dataclass(frozen=True, eq=False)
class _Known:
    """A session's last prompt: as text, where its special tokens stand in it, as tokens."""

    text: str
    marks: list[tuple[int, int]]
    tokens: list[int]


class ChatTokens:
    """Renders chats by the tokenizer's template and tokenises them.

    Before anything else, a tokenizer cuts a text at its special tokens: what follows one of them
    is tokenised alike whatever stands before it. So the text of a session is tokenised from the
    last special token on that it shares with the turn before.

    Args:
        tokenizer: With a chat template.
    """

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        cuts = _cuts(tokenizer) if tokenizer.is_fast else {}
        self._numbers = frozenset(cuts.values())
        # Of marks that begin alike, the tokenizer takes the longest.
        longest_first = sorted(cuts, key=len, reverse=True)
        self._mark = re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")
        self._known: OrderedDict[str, _Known] = OrderedDict()

    def prompt(self, messages: Sequence[Message], session: str | None = None) -> list[int]:
        """The token ids that the model reads for a chat: those that training showed it.

        Args:
            messages: The chat so far; a last ``assistant`` message is to be continued.
            session: Names a chat that grows.
        """
        goes_on = messages[-1]["role"] == "assistant"
        text: str = self._tokenizer.apply_chat_template(
            list(messages),
            add_generation_prompt=not goes_on,
            continue_final_message=goes_on,
            tokenize=False,
        )
        if session is None:
            return self._encode(text)
        marks = [mark.span() for mark in self._mark.finditer(text)]
        tokens, read = self._reusable(self._known.pop(session, None), text, marks)
        tokens = tokens + self._encode(text[read:])
        self._known[session] = _Known(text, marks, tokens)
        if len(self._known) > _SESSIONS:
            self._known.popitem(last=False)
        return tokens

    def _reusable(
        self, before: _Known | None, text: str, marks: list[tuple[int, int]]
    ) -> tuple[list[int], int]:
        """The tokens up to the last special one that two turns share, and where that stands."""
        if before is None:
            return [], 0
        specials = [at for at, token in enumerate(before.tokens) if token in self._numbers]
        if len(specials) != len(before.marks):  # one was made from other text
            return [], 0
        if text.startswith(before.text):
            same = len(before.text)
        else:
            same = common_prefix(before.text, text)
        pairs = zip(before.marks, marks, strict=False)
        shared = list(takewhile(lambda pair: pair[0] == pair[1] and pair[0][1] <= same, pairs))
        if not shared:
            return [], 0
        return before.tokens[: specials[len(shared) - 1]], marks[len(shared) - 1][0]

    def _encode(self, text: str) -> list[int]:
        tokens: list[int] = self._tokenizer(text, add_special_tokens=False)["input_ids"]
        return tokens


def _cuts(tokenizer: Any) -> dict[str, int]:
    """Special tokens that are found as they are written, without a look at what is around them."""
    added = tokenizer.added_tokens_decoder
    return {
        token.content: number
        for number, token in added.items()
        if token.special
        and not (token.lstrip or token.rstrip or token.single_word or token.normalized)
    }
