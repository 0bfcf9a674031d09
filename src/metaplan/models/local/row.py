"""One completion in the making, and what generates and ends it."""

from __future__ import annotations

import random
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

from metaplan.models.contract import Completion, Sampling, Usage, cut_at_stop

__all__ = ["Engine", "Finisher", "Row", "TokenTexts"]


@dataclass(eq=False)
class Row:
    """One completion in the making.

    Attributes:
        prompt: Token ids that the model reads.
        sampling: Temperature, limits, stop strings.
        seed: Of the random stream of this completion alone.
        session: Names what is to be kept for the next turn; None keeps nothing.
        future: The answer.
        tokens: Drawn so far.
    """

    prompt: tuple[int, ...]
    sampling: Sampling
    seed: int
    session: str | None = None
    future: Future[Completion] = field(default_factory=Future)
    tokens: list[int] = field(default_factory=list)
    _numbers: list[float] = field(default_factory=list)

    def number(self, token: int) -> float:
        """The random number, in [0, 1), by which the n-th token is drawn."""
        while len(self._numbers) <= token:
            self._numbers.append(self._dice.random())
        return self._numbers[token]

    @cached_property
    def _dice(self) -> random.Random:
        return random.Random(self.seed)  # noqa: S311 (chance, not a secret)


class Engine(Protocol):
    """Generates the rows that it was given, a token of each at a time.

    Attributes:
        gather_s: How long to wait, with nothing else to do, for rows that may come with a row.
    """

    gather_s: float

    @property
    def rows(self) -> Sequence[Row]:
        """Given and not yet ended."""

    @property
    def room(self) -> int:
        """How many more rows it takes now."""

    def add(self, row: Row) -> None:
        """Takes a row up."""

    def step(self) -> None:
        """Draws the next token of the rows; answers those that end."""

    def drop(self) -> None:
        """Forgets all rows and whatever a failed step may have spoilt."""


class TokenTexts(dict[int, str]):
    """What each token says, as far as it was asked for.

    Args:
        tokenizer: Of the model.
    """

    def __init__(self, tokenizer: Any) -> None:
        super().__init__()
        self._tokenizer = tokenizer

    def __missing__(self, token: int) -> str:
        text: str = self._tokenizer.decode([token])
        self[token] = text
        return text


class Finisher:
    """Knows when a row has ended, and answers it.

    Args:
        tokenizer: Of the model.
        ends: Tokens that end a reply.
    """

    def __init__(self, tokenizer: Any, ends: set[int]) -> None:
        self._tokenizer = tokenizer
        self._ends = ends
        self._texts = TokenTexts(tokenizer)

    def finish(self, row: Row) -> bool:
        """Answers a row that has ended; True when it needs no more tokens."""
        if row.future.cancelled():
            return True
        full = len(row.tokens) == row.sampling.max_tokens
        ended = row.tokens[-1] in self._ends
        if not (full or ended or self._may_stop(row)):
            return False
        text = self._tokenizer.decode(row.tokens, skip_special_tokens=True)
        cut = cut_at_stop(text, row.sampling.stop)
        stopped = ended or cut != text
        if not (full or stopped):
            return False
        if row.future.set_running_or_notify_cancel():
            row.future.set_result(
                Completion(
                    text=cut,
                    finish_reason="stop" if stopped else "length",
                    usage=Usage(prompt_tokens=len(row.prompt), completion_tokens=len(row.tokens)),
                )
            )
        return True

    def _may_stop(self, row: Row) -> bool:
        """Whether the last token may complete a stop string: decoding all of them is dear."""
        text = self._texts[row.tokens[-1]]
        # Parts of a character and spaces may read otherwise among other tokens.
        return any(
            mark[-1] in text or mark[-1].isspace() or "\ufffd" in text
            for mark in row.sampling.stop
            if mark
        )
