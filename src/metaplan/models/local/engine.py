"""The engine that keeps keys and values between the turns of a conversation.

At each step the rows that are being answered get one token each, and rows that have just come have
their prompts computed, all in one forward pass. A row that ends leaves at once, a request that
arrives joins at the next step.
"""

from __future__ import annotations

from dataclasses import dataclass

from metaplan.models.local.cache import Arena, Extent, common_prefix
from metaplan.models.local.packed import PackedModel
from metaplan.models.local.row import Finisher, Row, draw

__all__ = ["PackedEngine"]

# Prompts beyond this many tokens wait for the next step, so that no step needs much memory.
_STEP_TOKENS = 4096


@dataclass(eq=False)
class _Active:
    """A row with its place in the arena and the tokens that are still to be computed."""

    row: Row
    extent: Extent
    pending: list[int]


class PackedEngine:
    """Generates rows together, each over the keys and values of its conversation.

    Args:
        model: Computes.
        finisher: Ends rows.
        max_batch: Most rows at a time.
        context: Most tokens of a conversation.
    """

    def __init__(
        self, model: PackedModel, finisher: Finisher, *, max_batch: int, context: int
    ) -> None:
        self._model = model
        self._finisher = finisher
        self._max_batch = max_batch
        self._context = context
        self._arena = Arena(model.places, context)
        self._active: list[_Active] = []
        self._waiting: list[Row] = []

    @property
    def rows(self) -> list[Row]:
        """Given and not yet ended."""
        return [*(active.row for active in self._active), *self._waiting]

    @property
    def room(self) -> int:
        """How many more rows it takes now."""
        return self._max_batch - len(self._active) - len(self._waiting)

    def add(self, row: Row) -> None:
        """Takes a row up; it is computed from the next step on."""
        self._waiting.append(row)

    def drop(self) -> None:
        """Forgets all rows and all that is kept."""
        self._active, self._waiting = [], []
        self._arena = Arena(self._model.places, self._context)

    def step(self) -> None:
        """Computes pending tokens and draws a token for each row that has none left."""
        self._leave_cancelled()
        self._start_waiting()
        news = []
        left = _STEP_TOKENS
        for active in self._active:
            new = active.pending[: max(left, 0)]
            left -= len(new)
            if new:
                active.pending = active.pending[len(new) :]
                news.append((active, new))
        if not news:
            return
        logits = self._model.compute([(active.extent, new) for active, new in news])
        ready = [at for at, (active, _) in enumerate(news) if not active.pending]
        rows = [news[at][0] for at in ready]
        if len(ready) < len(news):
            logits = logits[ready]
        for active, token in zip(rows, draw(logits, [one.row for one in rows]), strict=True):
            active.row.tokens.append(token)
            active.pending = [token]
            if self._finisher.finish(active.row):
                self._leave(active)

    def _leave(self, active: _Active) -> None:
        self._active.remove(active)
        self._arena.keep(active.extent, active.row.session)

    def _leave_cancelled(self) -> None:
        self._waiting = [row for row in self._waiting if not row.future.cancelled()]
        for active in [one for one in self._active if one.row.future.cancelled()]:
            self._leave(active)

    def _start_waiting(self) -> None:
        computed_now: set[tuple[int, ...]] = set()
        waiting, self._waiting = self._waiting, []
        for row in waiting:
            # What another row computes in this step can be copied at the next.
            extent = None if row.prompt in computed_now else self._extent(row)
            if extent is None:
                self._waiting.append(row)
                continue
            active = _Active(row, extent, list(row.prompt[len(extent.tokens) :]))
            if len(active.pending) > 1:
                computed_now.add(row.prompt)
            self._active.append(active)

    def _extent(self, row: Row) -> Extent | None:
        """Room for a row, with the keys and values of as much of its prompt as is known."""
        needed = len(row.prompt) + row.sampling.max_tokens
        mine = self._arena.resume(row.session)
        known = mine or self._arena.opened(row.prompt)
        # The last token is computed in any case: the answer begins with its logits.
        shared = min(common_prefix(known.tokens, row.prompt), len(row.prompt) - 1) if known else 0
        if mine and mine.size >= needed:
            del mine.tokens[shared:]
            return mine
        extent = self._arena.take(needed)
        if extent and known and (mine or self._arena.opened(row.prompt) is known):
            self._model.copy(known, extent, shared)
        if mine:
            self._arena.free(mine)
        elif extent:
            self._arena.open(extent, row.prompt)
        return extent
