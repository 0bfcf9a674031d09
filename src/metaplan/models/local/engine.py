"""The engine that keeps keys and values between the turns of a conversation.

At each step the rows that are being answered get a token each, and more where what they say was
guessed; rows that have just come have their prompts computed; all in one forward pass. A row that
ends leaves at once, a request that arrives joins at the next step.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from metaplan.models.local.cache import Arena, Extent, common_prefix
from metaplan.models.local.drafts import Drafts
from metaplan.models.local.drawing import Drawer
from metaplan.models.local.packed import News, PackedModel
from metaplan.models.local.row import Finisher, Row

__all__ = ["PackedEngine"]

# Prompts beyond this many tokens wait for the next step, so that no step needs much memory.
_STEP_TOKENS = 4096
_MOST_GUESSED = 8


@dataclass(eq=False)
class _Active:
    """A row with its place in the arena, and the tokens that are to be computed.

    Attributes:
        pending: The rest of the prompt, or the last token drawn.
        guesses: What is expected to follow.
    """

    row: Row
    extent: Extent
    pending: list[int]
    guesses: list[int] = field(default_factory=list)


class PackedEngine:
    """Generates rows together, each over the keys and values of its conversation.

    Args:
        model: Computes.
        drawer: Draws tokens.
        finisher: Ends rows.
        max_batch: Most rows at a time.
        context: Most tokens of a conversation.
    """

    gather_s = 0.0  # who comes late joins at the next step

    def __init__(
        self,
        model: PackedModel,
        drawer: Drawer,
        finisher: Finisher,
        *,
        max_batch: int,
        context: int,
    ) -> None:
        self._model = model
        self._drawer = drawer
        self._finisher = finisher
        self._max_batch = max_batch
        self._context = context
        self._arena = Arena(model.places, context)
        self._active: list[_Active] = []
        self._waiting: list[Row] = []
        self._drafts = Drafts()

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
        """Computes pending tokens and draws for each row that has none left."""
        self._leave_cancelled()
        self._start_waiting()
        left = _STEP_TOKENS
        news: list[News] = []
        ready: list[_Active] = []
        for active in self._active:
            if left <= 0:
                break
            new, active.pending = active.pending[:left], active.pending[left:]
            left -= len(new) + len(active.guesses)
            if active.pending:
                news.append(News(active.extent, new, asked=0))
            else:
                asked = 1 + len(active.guesses)
                news.append(News(active.extent, new + active.guesses, asked))
                ready.append(active)
        if not news:
            return
        logits = self._model.compute(news)
        wanted = [
            (one.row, one.guesses[:at]) for one in ready for at in range(1 + len(one.guesses))
        ]
        drawn = iter(self._drawer.draw(logits, wanted))
        for active in ready:
            self._say(active, [next(drawn) for _ in range(1 + len(active.guesses))])

    def _say(self, active: _Active, drawn: list[int]) -> None:
        """Takes the drawn tokens up to the first that was not guessed, or the row's end."""
        row = active.row
        guesses: list[int | None] = [*active.guesses, None]
        for token, guess in zip(drawn, guesses, strict=True):
            self._drafts.learn(_latest(row), token)
            row.tokens.append(token)
            ended = self._finisher.finish(row)
            if ended or token != guess:
                break
        # The last token is still to be computed; what was guessed wrong is forgotten.
        del active.extent.tokens[len(row.prompt) + len(row.tokens) - 1 :]
        if ended:
            self._leave(active)
            return
        active.pending = row.tokens[-1:]
        active.guesses = self._guess(row)

    def _guess(self, row: Row) -> list[int]:
        # One token is drawn without having been guessed, so that no more than allowed are computed.
        allowed = row.sampling.max_tokens - len(row.tokens) - 1
        return self._drafts.guess(_latest(row), min(_MOST_GUESSED, allowed))

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
            active = _Active(row, extent, list(row.prompt[len(extent.tokens) :]), self._guess(row))
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


def _latest(row: Row) -> list[int]:
    """The last tokens of a conversation: as many as guesses go by."""
    said = row.tokens[-Drafts.most :]
    before = Drafts.most - len(said)
    return [*row.prompt[max(0, len(row.prompt) - before) :], *said]
