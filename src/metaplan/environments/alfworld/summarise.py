"""From one expert trajectory to a seed meta plan, by rule (paper, section 3.1).

The paper lets GPT-4o write the summary (Figure 8); this is the deterministic stand-in for it. It
tells what *this* expert did on *this* task, at the abstraction of the paper's plans: kinds for
instances, no place twice in a search. So its plans are as particular as
one trajectory is, and nothing was put into them, good or bad, that the expert did not do.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from metaplan.core import DataError, ExpertStep, ExpertTrajectory, MetaPlan

__all__ = ["summarise", "ways_and_deeds"]

_MOST_STEPS = 14
# A search is told by the kinds of place that it went through, in its order; one that went through
# this many is told as "where it may be located" (Figure 14): which places they were is no longer
# what matters.
_WIDE_KINDS = 6

_NAME = r"([a-z]+ \d+)"
_VISIT = re.compile(rf"go to {_NAME}")
_OPEN = re.compile(rf"open {_NAME}")
_TAKE = re.compile(rf"take {_NAME} from {_NAME}")
_PUT = re.compile(rf"(?:put|move) {_NAME} (?:in/on|in|on|to) {_NAME}")
_TREAT = re.compile(rf"(clean|heat|cool) {_NAME} with {_NAME}")
_USE = re.compile(rf"(?:use|toggle) {_NAME}.*")


def summarise(trajectory: ExpertTrajectory) -> MetaPlan:
    """Tells an ALFWorld expert's trajectory as a meta plan.

    Actions that did nothing, looks around and closing are left out. Two objects of a kind are the
    "first" and the "second". What makes the plan longer than ten steps goes first: opening, then
    places that were tried in vain.

    Args:
        trajectory: In either grammar (``put X in/on Y`` or ``move X to Y``).

    Returns:
        The plan; equal trajectories give equal plans.

    Raises:
        DataError: The trajectory holds no ALFWorld action that changes anything.
    """
    said = list(_Narrator(trajectory.steps).tell())
    for detail in ("open", "tried"):
        if len(said) > _MOST_STEPS:
            said = [line for line in said if line.detail != detail]
    if not any(line.detail == "deed" for line in said):
        raise DataError(
            f"{trajectory.task.key}: the expert trajectory does nothing that a plan could tell; "
            f"expected ALFWorld actions such as 'take mug 1 from desk 1'"
        )
    return MetaPlan(steps=tuple(line.text for line in said))


def ways_and_deeds(steps: Sequence[str]) -> Iterator[tuple[tuple[str, ...], str]]:
    """Splits a plan in the words of `summarise`: each deed, after the steps that go and open."""
    way: list[str] = []
    for step in steps:
        if step.startswith(("Go to ", "Open the ")):
            way.append(step)
        else:
            yield tuple(way), step
            way = []


@dataclass(frozen=True, slots=True)
class _Line:
    """A step with what it is: ``deed``, ``go``, ``open``, or a place ``tried`` in vain."""

    text: str
    detail: str


@dataclass(slots=True)
class _Walk:
    """Where the expert went since its last deed."""

    kinds: list[str] = field(default_factory=list)
    opened: set[str] = field(default_factory=set)


class _Narrator:
    """Goes through the steps once, telling each deed with the walk that led to it."""

    def __init__(self, steps: Iterable[ExpertStep]) -> None:
        self._actions = [
            step.action.strip().lower()
            for step in steps
            if not (step.mistake or step.observation.startswith("Nothing happens"))
        ]
        self._walk = _Walk()
        self._holding = ""
        self._ordinals = _ordinals(self._actions)

    def tell(self) -> Iterator[_Line]:
        for action in self._actions:
            if found := _VISIT.fullmatch(action):
                self._visit(_kind(found[1]))
            elif found := _OPEN.fullmatch(action):
                self._walk.opened.add(_kind(found[1]))
            else:
                yield from self._deed(action)

    def _visit(self, kind: str) -> None:
        """Equal kinds are one visit: the latest."""
        if kind in self._walk.kinds:
            self._walk.kinds.remove(kind)
        self._walk.kinds.append(kind)

    def _deed(self, action: str) -> Iterator[_Line]:
        if found := _TAKE.fullmatch(action):
            thing, place = self._the(found[1]), _kind(found[2])
            wide = len(self._walk.kinds) >= _WIDE_KINDS
            yield from self._searched(thing, "may be")
            self._holding = thing
            where = "where you found it" if wide else f"the {place}"
            yield _Line(f"Take {thing} from {where}.", "deed")
        elif found := _PUT.fullmatch(action):
            thing, place = self._the(found[1]), _kind(found[2])
            yield from self._walked()
            self._holding = ""
            yield _Line(f"Put {thing} in/on the {place}.", "deed")
        elif found := _TREAT.fullmatch(action):
            verb, thing, place = found[1], self._the(found[2]), _kind(found[3])
            yield from self._walked()
            yield _Line(f"{verb.capitalize()} {thing} with the {place}.", "deed")
        elif found := _USE.fullmatch(action):
            lamp = self._the(found[1])
            yield from self._searched(lamp, "is")
            purpose = f" to look at {self._holding}" if self._holding else ""
            yield _Line(f"Use {lamp}{purpose}.", "deed")

    def _searched(self, thing: str, being: str) -> Iterator[_Line]:
        """The walk to something that had to be found."""
        walk, self._walk = self._walk, _Walk()
        if len(walk.kinds) >= _WIDE_KINDS:
            yield _Line(f"Go to where {thing} {being} located.", "go")
            return
        *tried, found = walk.kinds or [""]
        yield from (_Line(f"Go to the {kind}.", "tried") for kind in tried)
        yield from _arrival(found, walk)

    def _walked(self) -> Iterator[_Line]:
        """The walk to a place that was known."""
        walk, self._walk = self._walk, _Walk()
        yield from _arrival(walk.kinds[-1] if walk.kinds else "", walk)

    def _the(self, name: str) -> str:
        return f"the {self._ordinals.get(name, '')}{_kind(name)}"


def _arrival(kind: str, walk: _Walk) -> Iterator[_Line]:
    if kind:
        yield _Line(f"Go to the {kind}.", "go")
        if kind in walk.opened:
            yield _Line(f"Open the {kind}.", "open")


def _ordinals(actions: Iterable[str]) -> dict[str, str]:
    """Maps to "first ", "second " … the objects of a kind of which the expert took several."""
    taken: dict[str, list[str]] = {}
    for action in actions:
        if (found := _TAKE.fullmatch(action)) and found[1] not in taken.get(_kind(found[1]), []):
            taken.setdefault(_kind(found[1]), []).append(found[1])
    words = ("first ", "second ", "third ", "next ")
    return {
        name: words[min(index, len(words) - 1)]
        for names in taken.values()
        if len(names) > 1
        for index, name in enumerate(names)
    }


def _kind(name: str) -> str:
    return name.split(" ", maxsplit=1)[0]
