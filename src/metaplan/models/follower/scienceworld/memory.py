"""What the follower remembers of a laboratory: only what observations said."""

from __future__ import annotations

import re
from functools import lru_cache

__all__ = ["Memory"]

_ROOM = re.compile(r"this (?:room|outside location) is called the ([a-z ]+?)\.")
_WENT = re.compile(r"you (?:teleport|move) to the ([a-z ]+)\.")
_DOOR = re.compile(r"a door to the ([a-z ]+?) \(")
_MOVED = re.compile(r"you move the (.+?) to the (.+?)\.")
_FOCUSED = re.compile(r"you focus on the (.+?)\.")
_CONNECTED = re.compile(
    r"(terminal \d) on (.+?) is now connected|connected to (terminal \d) on (.+)"
)
_OPTION = re.compile(r"^\d+:\s*(.+)$", re.MULTILINE)
_REFUSED = re.compile(
    r"no known action|unknown action|connections must|error:|.*\b(?:can't|cannot|not possible|"
    r"appears broken|does not)\b"
)
_PLAN = re.compile(r"\n\n[^\n]*\n+step 1:.*", re.DOTALL)
_SPLIT = re.compile(r"[\n\t,.:;()]+|\bcontaining\b|\bwhich is\b|\b(?:is|are):")
_ARTICLE = re.compile(r"^(?:(?:an?|the|substance called) )+")


class Memory:
    """Where things are, as far as they were seen. All text is in lower case.

    Attributes:
        room: Where the agent is; empty as long as nothing said so.
        rooms: What was last seen in each room that was looked at.
        doors: Rooms that are known to exist, in the order in which they were mentioned.
        held: Things picked up and not put down since.
        focus: What was focused on last.
        asked: The action that was ambiguous, and the possible meanings; else empty.
        options: See `asked`.
        terminals: Whether connections turned out to need terminals.
        used: Terminals that are connected, e.g. ``black wire terminal 1``.
        done: The action before this turn, if something happened; else empty.
        refused: The same, if nothing happened.
        heard: The last observation.
    """

    def __init__(self) -> None:
        self.room = ""
        self.rooms: dict[str, str] = {}
        self.doors: list[str] = []
        self.held: list[str] = []
        self.focus = ""
        self.asked = ""
        self.options: list[str] = []
        self.terminals = False
        self.used: set[str] = set()
        self.done = ""
        self.refused = ""
        self.heard = ""

    def observe(self, action: str, observation: str) -> None:
        """Takes in one turn. An action that did nothing teaches nothing."""
        text = _without_plan(observation.lower()).removeprefix("observation:").strip()
        if self.asked and action.isdigit():
            action = self.asked
        self.heard, self.asked, self.options = text, "", []
        self.done = self.refused = ""
        if text.startswith("ambiguous request"):
            self.asked, self.options = action, _OPTION.findall(text)
        elif _REFUSED.match(text):
            self.refused = action
            self.terminals |= "terminal" in text
        else:
            self.done = action
            self._learn(text)

    def look(self, text: str) -> None:
        """Takes in the description of a room, wherever it stands in a text."""
        seen = _without_plan(text)
        if found := _ROOM.search(seen):
            self.room = found[1]
            self.rooms[self.room] = seen[found.start() :]
            self.know(self.room, *_DOOR.findall(seen))

    def know(self, *rooms: str) -> None:
        """Remembers that there are these rooms."""
        self.doors += [room for room in dict.fromkeys(rooms) if room not in self.doors]

    def sees(self, noun: str, room: str | None = None) -> bool:
        """Whether a thing was seen in a room (here), by this name, or is held."""
        words = re.compile(rf"\b{re.escape(noun)}\b")
        seen = self.rooms.get(self.room if room is None else room, "")
        return bool(noun) and (bool(words.search(seen)) or any(map(words.search, self.held)))

    def things(self) -> list[str]:
        """Names of what was last seen here, and of what is held, each once."""
        return list(dict.fromkeys((*_things(self.rooms.get(self.room, "")), *self.held)))

    def items(self) -> list[str]:
        """Names of what stands in the room by itself, not in or on another thing."""
        lines = self.rooms.get(self.room, "").partition("you also see")[0].split("\n")[1:]
        names = [thing for line in lines for thing in _things(line)[:1]]
        return [name for name in names if name not in {"agent", "air"}]

    def _learn(self, text: str) -> None:
        if found := _WENT.match(text):
            self.room = found[1]
            self.know(self.room)
        elif found := _FOCUSED.match(text):
            self.focus = found[1]
        elif found := _MOVED.search(text):
            self.held = [thing for thing in self.held if thing != found[1]]
            if found[2] == "inventory":
                self.held.append(found[1])
        for one, thing, other, place in _CONNECTED.findall(text):
            self.used.add(f"{thing or place} {one or other}")
        self.look(text)


def _without_plan(text: str) -> str:
    """The text without the paragraph that brings a plan: what it names has not been seen."""
    return _PLAN.sub("", text)


@lru_cache(maxsize=4096)
def _things(text: str) -> tuple[str, ...]:
    pieces = _SPLIT.split(text.partition("you also see")[0])
    names = (_ARTICLE.sub("", piece.strip()) for piece in pieces)
    return tuple(dict.fromkeys(name for name in names if name))
