"""From one gold path to a seed meta plan, by rule (paper, section 3.1).

The paper lets GPT-4o write the summary (Figure 7); this is the deterministic stand-in for it. It
tells what *this* expert did on *this* task, at the abstraction of the paper's plans: a walk as
where it led, a long measurement as one step, kinds for instances. So its plans are as particular
as one gold path is, and nothing was put into them, good or bad, that the expert did not do.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from metaplan.core import DataError, ExpertStep, ExpertTrajectory, MetaPlan

__all__ = ["summarise"]

_MOST_STEPS = 12
_LONGEST_CYCLE = 10
_LONG_WAIT = 3
_PASSAGE = 3

_GO = re.compile(r"(?:go|teleport) to (?P<room>.+)")
_DEEDS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("pick", re.compile(r"(?:pick up|take) (?P<thing>.+)")),
    ("focus", re.compile(r"focus on (?P<thing>.+)")),
    ("move", re.compile(r"move (?P<thing>.+) to (?P<place>.+)")),
    ("pour", re.compile(r"pour (?P<thing>.+?) (?:into|in) (?P<place>.+)")),
    ("mix", re.compile(r"mix (?P<thing>.+)")),
    ("read", re.compile(r"read (?P<thing>.+)")),
    ("activate", re.compile(r"activate (?P<thing>.+)")),
    ("deactivate", re.compile(r"deactivate (?P<thing>.+)")),
    ("connect", re.compile(r"connect (?P<thing>.+) to (?P<place>.+)")),
    ("move", re.compile(r"drop (?P<thing>.+)")),
    ("open", re.compile(r"open (?P<thing>.+)")),
    ("disconnect", re.compile(r"disconnect (?P<thing>.+)")),
    ("use", re.compile(r"use (?P<thing>.+) on (?P<place>.+)")),
    ("use", re.compile(r"use (?P<thing>.+)")),
)
_SAYING = {
    "pick": "Pick up the {thing}",
    "focus": "Focus on the {thing}",
    "move": "Move the {thing} to the {place}",
    "pour": "Pour the {thing} into the {place}",
    "mix": "Mix the {thing}",
    "read": "Read the {thing}",
    "activate": "Activate the {thing}",
    "deactivate": "Deactivate the {thing}",
    "connect": "Connect the {thing} to the {place}",
    "disconnect": "Disconnect the {thing}",
    "use": "Use the {thing} on the {place}",
    "open": "Open the {thing}",
    "examine": "Examine the {thing}",
}
_THERMOMETER = re.compile(r"use .*thermometer.* on (?P<thing>.+)")
_LOOK = re.compile(r"(?:look at|examine) (?P<thing>.+)")
_WAIT = re.compile(r"wait(?P<one>1)?")
_DONE = re.compile(
    r"You (?:focus on|move|pour) the (?P<thing>.+?)(?: (?:in)?to the (?P<place>.+?))?\.|"
    r"^(?P<part>.+) is now connected to (?P<other>.+)"
)
_PART = re.compile(r"(?:terminal \d+|(?P<pole>anode|cathode)) on (?P<whole>.+)")
_FAILED = re.compile(
    r"No known action|Ambiguous request|Unknown|.*\b(?:can't|already|not clear|appears broken|"
    r"isn't|not possible|unable)\b"
)
_SUBSTANCE = re.compile(r"(?:an? )?(?:substance called )?(?P<name>[^,(\n]+)")
_BOTTOM = re.compile(r"with: an? (?P<thing>.+?) at the bottom")
_READING = re.compile(r"reads? \d")

_FIND = re.compile(r"find a\(n\) (?P<kind>[a-z -]+)\. First, focus on the thing", re.IGNORECASE)
# Where a thing is, is no part of its name; its stage of life is.
_WHERE = re.compile(r" (?:in|on) (?!the \w+ stage).*")
_CONTENTS = re.compile(r" containing .*")
_NUMBER = re.compile(r" \d+\b")
_TWICE = re.compile(r"\b(\w+) \1\b")


def summarise(trajectory: ExpertTrajectory) -> MetaPlan:
    """Tells a ScienceWorld expert's trajectory as a meta plan.

    Actions that did nothing, doors, containers and looks around are left out; of a walk only the
    room where something was done is told; repeated measuring and waiting is one step, and so are
    equal rounds of actions. Where the task asks for any thing of a kind, the plan names the kind,
    with what the expert chose as an example.

    Args:
        trajectory: Walking (``go to``) or teleporting.

    Returns:
        The plan; equal trajectories give equal plans.

    Raises:
        DataError: The trajectory holds no ScienceWorld action that changes anything.
    """
    lines = list(_Narrator(trajectory.task.instruction).tell(trajectory.steps))
    if not any(line.verb in _SAYING for line in lines):
        raise DataError(
            f"{trajectory.task.key}: the expert trajectory does nothing that a plan could tell; "
            f"expected ScienceWorld actions such as 'focus on thermometer'"
        )
    return MetaPlan(steps=tuple(_shorten(_fold(_without_detours(lines)))))


@dataclass(frozen=True, slots=True)
class _Line:
    """One step of the plan to be.

    Attributes:
        verb: A key of `_SAYING`, or ``go``, ``watch``.
        thing: What is handled, by its kind.
        place: Kind of the other thing that takes part; empty where there is none.
        text: For ``go`` and ``watch``: the step itself.
        instance: The names with their numbers: tells two flower pots apart.
        room: Where it happened; empty as long as the expert had not moved.
    """

    verb: str
    thing: str = ""
    place: str = ""
    text: str = ""
    instance: str = ""
    room: str = ""

    @property
    def kind(self) -> tuple[str, ...]:
        """What makes two lines one, whatever the instance."""
        return self.verb, self.thing, self.place.removeprefix("each "), self.text, self.room

    def told(self) -> str:
        """The step in words, without a full stop."""
        if self.text:
            return self.text
        saying = _SAYING[self.verb] if self.place or self.verb != "use" else "Use the {thing}"
        return saying.format(thing=self.thing, place=self.place).replace("the each", "each")


class _Narrator:
    """Goes through the steps once, telling each deed with the walk and the wait before it."""

    def __init__(self, instruction: str) -> None:
        found = _FIND.search(instruction)
        self._sought = found["kind"] if found else ""
        self._chosen = ""
        self._held: set[str] = set()
        self._opened: list[_Line] = []
        self._room = ""
        self._watch: list[ExpertStep] = []
        self._seen = ""
        self._substance = ""

    def tell(self, steps: Sequence[ExpertStep]) -> Iterator[_Line]:
        for step in _resolved(steps):
            if found := _GO.fullmatch(step.action):
                yield from self._watched(None)
                self._room = found["room"]
            elif line := self._deed(step):
                yield from self._told(line)
            elif _is_watching(step):
                self._watch.append(step)
            if not self._watch:
                self._seen += step.observation
        yield from self._watched(None)

    def _told(self, line: _Line) -> Iterator[_Line]:
        """A deed with what led to it; several openings in a row were a search, one was meant."""
        if line.verb == "open":
            self._opened.append(line)
            return
        if line.verb == "pick" and line.thing in self._held:
            return
        if line.verb == "pick":
            self._held.add(line.thing)
        else:
            self._held.discard(line.thing)
        yield from self._watched(line)
        yield from self._opened if len(self._opened) == 1 else ()
        self._opened.clear()
        yield line

    def _deed(self, step: ExpertStep) -> _Line | None:
        if _THERMOMETER.fullmatch(step.action):
            return None
        if (look := _LOOK.fullmatch(step.action)) and _READING.search(step.observation):
            return _Line("examine", _name(look["thing"]), room=self._room)
        for verb, pattern in _DEEDS:
            if found := pattern.fullmatch(step.action):
                return self._line(verb, found.groupdict(), step)
        return None

    def _line(self, verb: str, said: dict[str, str], step: ExpertStep) -> _Line:
        done = _DONE.search(step.observation)
        shown = {key: name or "" for key, name in done.groupdict().items()} if done else {}
        thing, place = _name(said["thing"]), _name(said.get("place") or "")
        if verb == "connect":
            thing, place = _part(shown.get("part", "")), _part(shown.get("other", ""))
        elif verb == "focus":
            thing = self._substance = _better(thing, _name(shown.get("thing", "")))
        elif verb in {"pick", "move"}:
            thing = _name(shown.get("thing", "")) or thing
        if verb in {"move", "pour"}:
            place = _better(place, _name(shown.get("place", "")))
        return _Line(verb, self._kind(verb, thing), place, instance=step.action, room=self._room)

    def _kind(self, verb: str, thing: str) -> str:
        """The task's own word for what it lets one choose, with the choice as an example."""
        if not self._sought:
            return thing
        if verb == "focus" and not self._chosen:
            self._chosen = thing
            return f"{self._sought}, such as the {thing}"
        return self._sought if set(thing.split()) <= set(self._chosen.split()) else thing

    def _watched(self, deed: _Line | None) -> Iterator[_Line]:
        """What was measured, looked at or waited for since the last deed."""
        watch, self._watch = self._watch, []
        if text := self._measured(watch) or _looked(watch) or self._waited(watch, deed):
            yield _Line("watch", text=text, room=self._room)
        self._seen += "".join(step.observation for step in watch)

    def _measured(self, watch: Iterable[ExpertStep]) -> str:
        """Names the substance as the examinations between the measurements did."""
        names = []
        for step in watch:
            if found := _THERMOMETER.fullmatch(step.action):
                said = _name(found["thing"])
                names.append(self._substance if said == "substance" else said)
            elif _LOOK.fullmatch(step.action) and (called := _SUBSTANCE.match(step.observation)):
                self._substance = called["name"]
        if not names:
            return ""
        if len(names) == 1:
            return f"Use the thermometer on the {names[0]}"
        until = "" if names[-1] == names[0] else f" until it becomes {names[-1]}"
        return f"Keep using the thermometer on the {names[0]}{until}"

    def _waited(self, watch: Iterable[ExpertStep], deed: _Line | None) -> str:
        waits = [found for step in watch if (found := _WAIT.fullmatch(step.action))]
        if sum(1 if found["one"] else 10 for found in waits) < _LONG_WAIT:
            return ""
        if deed and deed.verb == "focus" and deed.thing not in self._seen:
            return f"Wait until you see the {deed.thing}"
        return "Wait for a while"


def _resolved(steps: Iterable[ExpertStep]) -> Iterator[ExpertStep]:
    """The steps that did something; a number answers the question which thing was meant."""
    asked = ""
    for step in steps:
        action = step.action.strip().lower()
        if action.isdigit():
            action = asked
        asked = action
        if not _FAILED.match(step.observation):
            yield step.model_copy(update={"action": action})


def _is_watching(step: ExpertStep) -> bool:
    patterns = (_THERMOMETER, _LOOK, _WAIT)
    return any(pattern.fullmatch(step.action) for pattern in patterns)


def _looked(watch: Sequence[ExpertStep]) -> str:
    """A look that was repeated: its object was watched."""
    looks = [step for step in watch if _LOOK.fullmatch(step.action)]
    if len(looks) < _LONG_WAIT or len({step.action for step in looks}) > 1:
        return ""
    found, end = _LOOK.fullmatch(looks[-1].action), _BOTTOM.search(looks[-1].observation)
    until = f" until the {end['thing']} is at the bottom" if end else ""
    return f"Keep looking at the {_name(found['thing'])}{until}" if found else ""


def _name(phrase: str) -> str:
    """The kind that a phrase of the simulator names."""
    kind = _NUMBER.sub("", _WHERE.sub("", phrase))
    if not kind.startswith("cup "):  # "cup containing blue paint" is what tells cups apart
        kind = _CONTENTS.sub("", kind)
    return _TWICE.sub(r"\1", kind).strip().lower()


def _better(said: str, shown: str) -> str:
    """The name in the observation, unless the expert's own says more."""
    own, other = set(said.split()), set(shown.split())
    return said if not other or (own & other and not own <= other) else shown


def _part(phrase: str) -> str:
    """Which end of a wire does not matter, which pole of a battery does."""
    found = _PART.fullmatch(phrase)
    return f"{_name(found['whole'])} {found['pole'] or ''}".rstrip() if found else phrase


def _without_detours(lines: Sequence[_Line]) -> Iterator[_Line]:
    """Leaves out picking up what is put somewhere at once."""
    for line, after in zip(lines, (*lines[1:], None), strict=True):
        moved = (
            after is not None
            and after.verb in {"move", "pour"}
            and ((after.thing, after.room) == (line.thing, line.room))
        )
        if not (line.verb == "pick" and moved):
            yield line


def _fold(lines: Iterable[_Line]) -> list[_Line]:
    """Makes one round of equal rounds; what went to several places goes to "each"."""
    folded = list(lines)
    for length in range(1, _LONGEST_CYCLE + 1):
        at = 0
        while at + 2 * length <= len(folded):
            first, second = folded[at : at + length], folded[at + length : at + 2 * length]
            if [line.kind for line in first] == [line.kind for line in second]:
                folded[at : at + 2 * length] = map(_merged, first, second)
            else:
                at += 1
    return folded


def _merged(one: _Line, other: _Line) -> _Line:
    if one.instance == other.instance or not re.search(r"\d", one.instance):
        return one
    return replace(one, place=f"each {one.place.removeprefix('each ')}")


def _shorten(lines: Sequence[_Line]) -> Iterator[str]:
    """The steps; where there would be too many, without what was told before, then in pairs."""
    rest = list(_with_rooms(lines))
    if len(rest) > _MOST_STEPS:
        rest = list(_with_rooms(_once([line for line in lines if line.verb != "open"])))
    surplus = len(rest) - _MOST_STEPS
    while rest:
        line = rest.pop(0)
        text = line.told()
        if rest and line.verb in _SAYING and rest[0].verb in _SAYING:
            switched = (line.verb, rest[0].verb) == ("activate", "deactivate")
            if switched or surplus > 0:
                text = _joined(line, rest.pop(0))
                surplus -= 1
        yield f"{text}."


def _with_rooms(lines: Iterable[_Line]) -> Iterator[_Line]:
    """Tells the way to each other room."""
    room = ""
    for line in lines:
        if line.room != room:
            room = line.room
            yield _Line("go", text=f"Teleport to the {room}")
        yield line


def _once(lines: Sequence[_Line]) -> list[_Line]:
    """Leaves out longer passages that were told before."""
    told: list[_Line] = []
    at = 0
    while at < len(lines):
        length = _told_before(told, lines[at:])
        if length < _PASSAGE:
            told.append(lines[at])
        at += length if length >= _PASSAGE else 1
    return told


def _told_before(told: Sequence[_Line], rest: Sequence[_Line]) -> int:
    """Length of the longest beginning of the rest that stands somewhere in what was told."""
    kinds = [line.kind for line in rest]
    longest = 0
    for at in range(len(told)):
        while [line.kind for line in told[at : at + longest + 1]] == kinds[: longest + 1]:
            longest += 1
            if longest == len(kinds):
                return longest
    return longest


def _joined(line: _Line, after: _Line) -> str:
    """Two deeds as one step: "activate and deactivate the sink"."""
    first, second = line.told(), after.told()
    if line.thing == after.thing and not after.place:
        first = first.removesuffix(f" the {line.thing}")
    return f"{first} and {second[0].lower()}{second[1:]}"
