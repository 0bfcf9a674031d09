"""One completion in the making, and how its tokens are drawn."""

from __future__ import annotations

import random
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from metaplan.models.contract import Completion, Sampling, Usage, cut_at_stop

if TYPE_CHECKING:
    import torch

__all__ = ["Engine", "Finisher", "Row", "draw"]


@dataclass(eq=False)
class Row:
    """One completion in the making.

    Attributes:
        prompt: Token ids that the model reads.
        sampling: Temperature, limits, stop strings.
        dice: The random stream of this completion alone.
        session: Names what is to be kept for the next turn; None keeps nothing.
        future: The answer.
        tokens: Drawn so far.
    """

    prompt: tuple[int, ...]
    sampling: Sampling
    dice: random.Random
    session: str | None = None
    future: Future[Completion] = field(default_factory=Future)
    tokens: list[int] = field(default_factory=list)


class Engine(Protocol):
    """Generates the rows that it was given, a token of each at a time."""

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


class Finisher:
    """Knows when a row has ended, and answers it.

    Args:
        tokenizer: Of the model.
        ends: Tokens that end a reply.
    """

    def __init__(self, tokenizer: Any, ends: set[int]) -> None:
        self._tokenizer = tokenizer
        self._ends = ends
        self._texts: dict[int, str] = {}

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
        last = row.tokens[-1]
        if last not in self._texts:
            self._texts[last] = self._tokenizer.decode([last])
        text = self._texts[last]
        # Parts of a character and spaces may read otherwise among other tokens.
        return any(
            mark[-1] in text or mark[-1].isspace() or "\ufffd" in text
            for mark in row.sampling.stop
            if mark
        )


def draw(logits: torch.Tensor, rows: Sequence[Row]) -> list[int]:
    """The next token of each row: the likeliest at temperature 0, else by inverting the CDF.

    Args:
        logits: Rows by vocabulary, float32.
        rows: With their temperature, nucleus and dice; one number is drawn per row and token.
    """
    import torch

    best: list[int] = logits.argmax(-1).tolist()
    warm = [at for at, row in enumerate(rows) if row.sampling.temperature > 0]
    if not warm:
        return best
    chosen = [rows[at] for at in warm]
    numbers = [(row.sampling.temperature, row.sampling.top_p, row.dice.random()) for row in chosen]
    columns = torch.tensor(numbers, dtype=torch.float64, device=logits.device)
    temperature, nucleus, dice = columns.T.unsqueeze(-1)
    likely = (logits[warm].double() / temperature).softmax(-1)
    if any(row.sampling.top_p < 1 for row in chosen):
        likely = _nucleus(likely, nucleus)
    mass = likely.cumsum(-1)
    drawn = torch.searchsorted(mass, dice * mass[:, -1:], right=True)
    for at, token in zip(warm, drawn.flatten().tolist(), strict=True):
        best[at] = min(token, logits.shape[-1] - 1)
    return best


def _nucleus(likely: torch.Tensor, nucleus: torch.Tensor) -> torch.Tensor:
    """Probabilities with those outside each row's nucleus set to 0.

    A token is in the nucleus while the likelier ones don't yet fill it.
    """
    ordered = likely.sort(dim=-1, descending=True).values
    outside = (ordered.cumsum(-1) - ordered >= nucleus) & (nucleus < 1)
    least = ordered.masked_fill(outside, 1.0).amin(-1, keepdim=True)
    return likely.masked_fill(likely < least, 0.0)
