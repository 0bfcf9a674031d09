"""Where the keys and values of conversations are kept between their turns."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count

__all__ = ["Arena", "Extent"]

_SMALLEST = 128


@dataclass(eq=False)
class Extent:
    """A run of places in the arena that belongs to one conversation.

    Attributes:
        start: First place.
        size: Places.
        tokens: Those whose keys and values are there, from `start` on.
    """

    start: int
    size: int
    tokens: list[int] = field(default_factory=list)


class Arena:
    """Shares out places for keys and values; the longest unused conversation makes room.

    Args:
        places: Tokens that there is memory for.
        longest: Most tokens of one conversation (the model's context).
    """

    def __init__(self, places: int, longest: int) -> None:
        self._places = places
        self._longest = longest
        self._taken: dict[int, Extent] = {}  # by start
        self._idle: OrderedDict[str | int, Extent] = OrderedDict()  # the longest unused first
        self._openings: dict[tuple[int, ...], Extent] = {}
        self._numbers = count()

    def take(self, tokens: int) -> Extent | None:
        """An empty extent for so many tokens; None while those in use leave no room."""
        size = min(max(_SMALLEST, 1 << (tokens - 1).bit_length()), self._longest)
        while (start := self._gap(size)) is None:
            if not self._idle:
                return None
            self.free(self._idle.popitem(last=False)[1])
        self._taken[start] = extent = Extent(start, size)
        return extent

    def _gap(self, size: int) -> int | None:
        at = 0
        for start in sorted(self._taken):
            if start - at >= size:
                return at
            at = start + self._taken[start].size
        return at if self._places - at >= size else None

    def free(self, extent: Extent) -> None:
        """Gives an extent back."""
        del self._taken[extent.start]
        for opening in [key for key, kept in self._openings.items() if kept is extent]:
            del self._openings[opening]

    def keep(self, extent: Extent, session: str | None) -> None:
        """Puts an extent aside until its session goes on."""
        old = self._idle.pop(session, None) if session is not None else None
        if old is not None:
            self.free(old)
        if session is not None:
            self._idle[session] = extent
        elif extent in self._openings.values():
            self._idle[next(self._numbers)] = extent
        else:
            self.free(extent)

    def resume(self, session: str | None) -> Extent | None:
        """What was kept for a session; it is no longer idle."""
        return self._idle.pop(session, None) if session is not None else None

    def remember(self, prompt: tuple[int, ...], extent: Extent) -> None:
        """Notes that `extent` begins with `prompt`, for conversations that begin likewise."""
        self._openings.setdefault(prompt, extent)

    def same_opening(self, prompt: tuple[int, ...]) -> Extent | None:
        """An extent that begins with just these tokens."""
        return self._openings.get(prompt)


def common_prefix(one: Sequence[int], other: Sequence[int]) -> int:
    """How many tokens two sequences have in common at their beginnings."""
    for at, (a, b) in enumerate(zip(one, other, strict=False)):
        if a != b:
            return at
    return min(len(one), len(other))
