"""Where the keys and values of conversations are kept between their turns."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field

__all__ = ["Arena", "Extent", "common_prefix"]

_SMALLEST = 128


@dataclass(eq=False)
class Extent:
    """A run of places that belongs to one conversation.

    Attributes:
        start: First place.
        size: Places.
        tokens: Those whose keys and values are there, from `start` on.
        opening: The tokens that it began with, where others may begin likewise.
    """

    start: int
    size: int
    tokens: list[int] = field(default_factory=list)
    opening: tuple[int, ...] | None = None


class Arena:
    """Shares out places; when there are none left, the longest unused conversation makes room.

    An extent is in use from `take` or `resume` to `keep`. At least one always fits.

    Args:
        places: Tokens that there is memory for.
        longest: Most tokens of one conversation: the model's context, no more than `places`.
    """

    def __init__(self, places: int, longest: int) -> None:
        self._places = places
        self._longest = longest
        self._taken: dict[int, Extent] = {}  # by start
        self._idle: OrderedDict[str | Extent, Extent] = OrderedDict()  # the longest unused first
        self._openings: dict[tuple[int, ...], Extent] = {}

    def take(self, tokens: int) -> Extent | None:
        """An empty extent for so many tokens; None while those in use leave no room."""
        # A conversation grows: room for twice as much saves it from moving at every turn.
        size = min(max(_SMALLEST, 1 << (tokens - 1).bit_length()), self._longest)
        while (start := self._gap(size)) is None:
            if not self._idle:
                return None
            self.free(self._idle.popitem(last=False)[1])
        self._taken[start] = extent = Extent(start, size)
        return extent

    def _gap(self, size: int) -> int | None:
        """The first place of the first gap of so many places."""
        at = 0
        for start in sorted(self._taken):
            if start - at >= size:
                return at
            at = start + self._taken[start].size
        return at if self._places - at >= size else None

    def free(self, extent: Extent) -> None:
        """Gives up an extent that is in use."""
        del self._taken[extent.start]
        if extent.opening is not None and self._openings.get(extent.opening) is extent:
            del self._openings[extent.opening]

    def keep(self, extent: Extent, session: str | None) -> None:
        """Puts an extent aside: for its session, or for others that begin as it began."""
        name: str | Extent = extent if session is None else session
        if session is None and self._openings.get(extent.opening or ()) is not extent:
            self.free(extent)
            return
        older = self._idle.pop(name, None)
        if older is not None:
            self.free(older)
        self._idle[name] = extent

    def resume(self, session: str | None) -> Extent | None:
        """What was kept for a session; it is in use again."""
        return None if session is None else self._idle.pop(session, None)

    def open(self, extent: Extent, opening: tuple[int, ...]) -> None:
        """Notes that an extent begins with these tokens."""
        if opening not in self._openings:
            self._openings[opening] = extent
            extent.opening = opening

    def opened(self, opening: tuple[int, ...]) -> Extent | None:
        """An extent, in use or not, that began with just these tokens."""
        return self._openings.get(opening)


def common_prefix(one: Sequence[object], other: Sequence[object]) -> int:
    """How many items two sequences have in common at their beginnings."""
    pairs = zip(one, other, strict=False)
    return next((at for at, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))
