"""One plan out of several for a task: where any of them finds a thing, in the order of their votes.

Plans that a planner draws for a task stop where each happens to find the thing, and what is drawn
more often is likelier. So a handful of them knows more of where things lie than any one does, or
than the planner says when it goes on with a list: of places far down in one, it has seen few.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from metaplan.core import MetaPlan, Task
from metaplan.environments.alfworld.reading import read_names, type_of
from metaplan.environments.alfworld.summarise import ways_and_deeds

__all__ = ["merge"]

_GO, _OPEN, _FROM = "Go to the ", "Open the ", " from "
# Of place in a search, by its deed: about as many as seed plans name.
_MOST_KINDS = {"Take the second ": 2, "Take ": 5, "Use ": 1}
_IN_PASSING = 0.01  # of a vote: for a place that was looked at in vain


@dataclass(frozen=True, slots=True)
class _Part:
    """A deed with the steps that lead to it.

    Attributes:
        way: Steps that go and open.
        deed: The step after them, without whence a thing is taken.
        whence: Where it is taken from; empty where the step doesn't say.
    """

    way: tuple[str, ...]
    deed: str
    whence: str

    @property
    def kinds(self) -> list[str]:
        """Kinds of place on the way, in its order."""
        return [step.removeprefix(_GO).rstrip(".") for step in self.way if step.startswith(_GO)]

    @property
    def steps(self) -> tuple[str, ...]:
        """As they stood in the plan."""
        return (*self.way, f"{self.deed}{_FROM}{self.whence}." if self.whence else f"{self.deed}.")


def merge(task: Task, plans: Sequence[MetaPlan]) -> MetaPlan | None:
    """Merges plans in the words of `metaplan.environments.alfworld.summarise`.

    The deeds are those that most plans have. A search goes to the kinds of place where plans end
    theirs, those of most plans first, then to those that they only pass; at most five, two for a
    second thing, one for a lamp, and none that the room doesn't have. What is no search is done as
    in the first such plan.

    Args:
        task: With the text that the agent sees first.
        plans: Of the task; a plan that was drawn twice counts twice.

    Returns:
        The plan; None where there is none to merge.
    """
    if not plans:
        return None
    parted = [tuple(_parts(plan.steps)) for plan in plans]
    deeds = Counter(tuple(part.deed for part in parts) for parts in parted)
    most = deeds.most_common(1)[0][0]
    room = {type_of(name) for name in read_names(task.instruction.rpartition("\n")[0])}
    alike = [parts for parts in parted if tuple(part.deed for part in parts) == most]
    steps = [step for parts in zip(*alike, strict=True) for step in _merged(parts, room)]
    return MetaPlan(steps=tuple(steps)) if steps else None


def _parts(steps: Sequence[str]) -> Iterator[_Part]:
    for way, step in ways_and_deeds(steps):
        deed, whence = step.rstrip("."), ""
        if deed.startswith("Take "):
            deed, _, whence = deed.partition(_FROM)
        yield _Part(way, deed, whence)


def _merged(parts: Sequence[_Part], room: set[str]) -> tuple[str, ...]:
    """The steps of one deed, of what all plans say of it."""
    first = parts[0]
    most = next((count for verb, count in _MOST_KINDS.items() if first.deed.startswith(verb)), 0)
    votes: defaultdict[str, float] = defaultdict(float)
    for part in parts:
        for kind in part.kinds[:-1]:
            votes[kind] += _IN_PASSING
        for kind in part.kinds[-1:]:
            votes[kind] += 1.0
    ranked = sorted(votes, key=lambda kind: -votes[kind])
    kinds = [kind for kind in ranked if kind in room][:most]
    if not kinds:
        return first.steps
    opening = f"{_OPEN}{kinds[-1]}."
    opened = any(part.kinds[-1:] == kinds[-1:] and opening in part.way for part in parts)
    return (
        *(f"{_GO}{kind}." for kind in kinds),
        *([opening] if opened else []),
        *_Part((), first.deed, f"the {kinds[-1]}" if first.whence else "").steps,
    )
