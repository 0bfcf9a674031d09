"""What the follower remembers of the room: only what observations said."""

from __future__ import annotations

import re
from collections.abc import Iterator

__all__ = ["Memory", "kind_of"]

_SEEN = re.compile(r"(?:On the|The) ([a-z]+ \d+)(?: is open\. In it)?, you see ([^.]*)")
_CLOSED = re.compile(r"(?:The (?=\S+ \d+ is closed)|You close the )([a-z]+ \d+)")
_THING = re.compile(r"\ban? ([a-z]+ \d+)")
_PICKED = re.compile(r"You pick up the ([a-z]+ \d+) from the ([a-z]+ \d+)")
_PUT = re.compile(r"You (?:put|move) the ([a-z]+ \d+) (?:in/on|to) the ([a-z]+ \d+)")
_TREATED = re.compile(r"You (clean|heat|cool) the ([a-z]+ \d+)")
_LIT = re.compile(r"You turn on the ([a-z]+ \d+)")


def kind_of(name: str) -> str:
    """The name without its number: ``mug 1`` is a ``mug``."""
    return name.split(" ", maxsplit=1)[0]


class Memory:
    """Where things are, as far as they were seen.

    Attributes:
        at: Receptacle in front of the agent; empty at the start.
        holding: Object in the hand; empty for none.
        contents: Receptacles looked into, with what is in or on them.
        closed: Receptacles found closed and not opened since.
        placed: Objects put down by the agent, with their place.
        treated: Pairs such as ``("clean", "mug 1")``.
        lit: Lamps turned on.
        last_action: The action before this turn; empty at the start or after a format error.
        refused: The same, if nothing happened; else empty.
    """

    def __init__(self) -> None:
        self.at = ""
        self.holding = ""
        self.contents: dict[str, list[str]] = {}
        self.closed: set[str] = set()
        self.placed: dict[str, str] = {}
        self.treated: set[tuple[str, str]] = set()
        self.lit: set[str] = set()
        self.last_action = ""
        self.refused = ""

    def observe(self, action: str, observation: str) -> None:
        """Takes in one turn. An action that did nothing teaches nothing."""
        self.last_action = action
        self.refused = action if "Nothing happen" in observation else ""
        if self.refused:
            return
        if action.startswith("go to "):
            self.at = action.removeprefix("go to ")
        if found := _SEEN.search(observation):
            self.at = found[1]
            self.contents[self.at] = _THING.findall(found[2])
            self.closed.discard(self.at)
        elif found := _CLOSED.search(observation):
            self.at = found[1]
            self.closed.add(self.at)
        self._observe_change(observation)

    def _observe_change(self, observation: str) -> None:
        if found := _PICKED.search(observation):
            self.holding = found[1]
            self.placed.pop(found[1], None)
            if found[1] in self.contents.get(found[2], []):
                self.contents[found[2]].remove(found[1])
        elif found := _PUT.search(observation):
            self.holding = ""
            self.placed[found[1]] = found[2]
            self.contents.setdefault(found[2], []).append(found[1])
        elif found := _TREATED.search(observation):
            self.treated.add((found[1], found[2]))
        elif found := _LIT.search(observation):
            self.lit.add(found[1])

    def seen(self, kind: str) -> Iterator[tuple[str, str]]:
        """Things of a kind that were seen and not put down by the agent, each with its place.

        What stands in front of the agent comes first.
        """
        start = f"{kind} "
        for place in (self.at, *self.contents):
            for thing in self.contents.get(place, ()):
                if thing.startswith(start) and thing not in self.placed:
                    yield thing, place
