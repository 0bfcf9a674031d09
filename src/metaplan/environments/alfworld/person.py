"""An expert that explores as a person would: reads, remembers, and looks in likely places first.

It sees text only. What an expert knows beforehand is where such objects usually lie
(``world.json``), with an own opinion of that; writers of plans know it roughly; other people look
in a few places on a hunch, and then go through the room in the order in which it was told. Nobody
knows the house. Shown a plan,
they take from it one thing: for each object that they search, the kinds of place that the plan
names come first, in the plan's order. Everything else they do as the task says, whatever the plan
says.

Before they search for a kind of thing they say in what order they will look. So a small model that
learns from these thoughts need not tell from the whole conversation where it has not been: what
comes next stands in the list. For a second thing of the kind they go on where they were.

People slip now and then while they search: they go where they are. An agent that learned from right
actions alone would not know what to do after its own slips (DART, Laskey et al., 2017).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from functools import cache
from itertools import chain
from random import Random

from metaplan.core import ExpertStep, ExpertTrajectory, MetaPlan, Task, seed_from
from metaplan.environments.alfworld.catalogue import OPENABLE, Room, merged_rooms, read_world
from metaplan.environments.alfworld.hints import Hint, read_hints
from metaplan.environments.alfworld.reading import (
    Verb,
    Wish,
    read_names,
    read_sight,
    read_wish,
    type_of,
)
from metaplan.environments.alfworld.variation import VariedRoom
from metaplan.environments.contract import Environment, LoadedTask

__all__ = ["MOST_STEPS", "act_as_expert"]

MOST_STEPS = 50
"""An expert that needs more gives up, as people do."""

# Standard deviations of the log of an opinion of a place's share.
_SPREAD = 0.4  # The expert's.
_ROUGHLY = 1.5  # A writer's.
_HUNCHES = (0, 1, 2, 3)  # How many kinds of place other people look in first.
_SLIPS = 0.12  # Of the searching steps of people, not of the expert.
_UNHEARD_OF = 0.5  # Percent: how likely a place is that the priors don't name.

_OPENABLE = {type_.lower() for type_ in OPENABLE}
_INSIDE = _OPENABLE | {"sinkbasin", "bathtubbasin", "garbagecan", "laundryhamper"}
_STATIONS: dict[Verb, str] = {"clean": "sinkbasin", "heat": "microwave", "cool": "fridge"}


class _Over(Exception):
    """The task is solved, or the expert gives up."""


def act_as_expert(
    task: Task,
    loaded: LoadedTask,
    *,
    person: int | None = None,
    plan: MetaPlan | None = None,
    varied: bool = False,
) -> ExpertTrajectory:
    """Plays one episode of a task.

    Args:
        task: Its key and `person` decide the opinions.
        loaded: The same task, loaded.
        person: Which of any number of people acts: from 0 on, those who do not know where things
            usually lie; below 0, writers of plans, who know it roughly; None for the expert.
        plan: What the person is shown, if anything.
        varied: In a room of which some places are left out: equal tasks, equal rooms. Where the
            task can't be solved there, in the room as it is.

    Returns:
        The episode, with thoughts; `success` is false where the expert gave up, which is rare.
    """
    if varied:
        room = VariedRoom(loaded.make(), Random(seed_from("varied room", task.key)))  # noqa: S311
        found = _act(task, room, person, plan)
        if found.success:
            return found
    return _act(task, loaded.make(), person, plan)


def _act(
    task: Task, environment: Environment, person: int | None, plan: MetaPlan | None
) -> ExpertTrajectory:
    first = environment.reset().text
    someone = _Person(environment, first, task.key, person, plan)
    wish = read_wish(first)
    try:
        if wish is not None:
            someone.fulfil(wish)
    except _Over:
        pass
    finally:
        environment.close()
    return ExpertTrajectory(
        task=task.model_copy(update={"instruction": first}),
        steps=tuple(someone.steps),
        reward=float(someone.success),
        success=someone.success,
        source="handcoded",
        plan=plan,
    )


class _Person:
    """Someone in a room: what they did, where they are, what they saw."""

    def __init__(
        self,
        environment: Environment,
        first: str,
        task_key: str,
        person: int | None,
        plan: MetaPlan | None,
    ) -> None:
        self._environment = environment
        self._seed = seed_from("expert", task_key, *([] if person is None else [person]))
        self._is_expert = person is None
        self._knows = person is None or person < 0
        # In the room's own order: the next place of a kind is what it names next.
        self._places = list(read_names(first.split("Your task is to:", maxsplit=1)[0]))
        kinds = {type_of(place) for place in self._places}
        self._slips = self._chance("slips")
        self._hints: tuple[Hint, ...] = read_hints(plan, kinds) if plan else ()
        self._seen: dict[str, tuple[str, ...]] = {}
        self._at = ""
        self._intention = ""
        self._told: set[str] = set()  # For which types of object the order of search was told.
        self.steps: list[ExpertStep] = []
        self.success = False

    def fulfil(self, wish: Wish) -> None:
        """Does the whole task."""
        self._intention = _intention(wish)
        for _ in range(wish.count):
            goal = self._one_of(wish.place_type) if wish.place_type else ""
            # What lies at its goal already is of no use, unless it is to be treated first.
            thing = self._find(wish.object_type, besides="" if wish.verb else goal)
            self._take(thing)
            if wish.verb:
                self._treat(thing, wish.verb)
            if wish.lamp_type:
                lamp = self._find(wish.lamp_type)
                thought = f"{_need(type_of(lamp))}, and here is {lamp}. I turn it on."
                self._do(f"use {lamp}", thought)
            else:
                self._bring(thing, goal)

    def _take(self, thing: str) -> None:
        thought = f"{_need(type_of(thing))}, and here is {thing}. I take it."
        self._do(f"take {thing} from {self._at}", thought)
        rest = (other for other in self._seen[self._at] if other != thing)
        self._seen[self._at] = tuple(rest)

    def _treat(self, thing: str, verb: Verb) -> None:
        station = self._one_of(_STATIONS[verb])
        if self._at != station:
            thought = (
                f"I have the {type_of(thing)}. Now I go to the {type_of(station)} to {verb} it."
            )
            self._do(f"go to {station}", thought)
            self._at = station
        thought = f"I am at the {type_of(station)}. I {verb} the {type_of(thing)} with it."
        self._do(f"{verb} {thing} with {station}", thought)

    def _bring(self, thing: str, goal: str) -> None:
        self._go(goal, f"I have the {type_of(thing)}. Now I go to the {type_of(goal)}.")
        thought = f"I am at the {type_of(goal)}. I put the {type_of(thing)} there."
        self._do(f"put {thing} in/on {goal}", thought)

    def _find(self, object_type: str, besides: str = "") -> str:
        """Goes to where an object of a type is, and says which.

        Args:
            object_type: What to look for.
            besides: A place where it does not count.

        Raises:
            _Over: There is none to be found.
        """
        for place, thing in self._remembered(object_type, besides):
            sight = f"and I saw one {_where(type_of(place))}. I go back to {place}."
            self._go(place, f"{_need(object_type)}, {sight}")
            return thing
        hinted = self._hinted(object_type)
        places = self._in_order(object_type, besides, first=hinted)
        if object_type not in self._told:
            self._told.add(object_type)
            self._intention += _in_this_order([type_of(place) for place in places], hinted)
        for place in places:
            slips = not self._is_expert and self._slips.random() < _SLIPS
            if slips and place != places[0]:
                self._do(f"go to {self._at}", _looks(object_type, self._at), mistake=True)
            self._go(place, _looks(object_type, place))
            found = [thing for thing in self._seen.get(place, ()) if type_of(thing) == object_type]
            if found:
                return found[0]
        raise _Over(object_type)

    def _remembered(self, object_type: str, besides: str) -> Iterator[tuple[str, str]]:
        """Where the person saw such objects, where they are now first."""
        for place in sorted(self._seen, key=lambda place: place != self._at):
            for thing in self._seen[place]:
                if type_of(thing) == object_type and place != besides:
                    yield place, thing

    def _hinted(self, object_type: str) -> tuple[str, ...]:
        """The kinds of place that the plan names for things of a type, be it the first or second.

        Of two, the second may lie wherever the plan looks for the first, and the first may be found
        long before all places named for it were tried.
        """
        named = (hint.places for hint in self._hints if object_type in hint.words)
        return tuple(dict.fromkeys(chain.from_iterable(named)))

    def _in_order(self, object_type: str, besides: str, *, first: Sequence[str]) -> list[str]:
        """Places not seen yet, in the order in which this person looks there.

        Kinds named first; then who knows goes by the chance per step spent there, and who
        does not goes by a hunch or two, and then through the room as it was told.
        """
        places = [place for place in self._places if place not in self._seen and place != besides]
        if self._knows:
            shares = self._shares(object_type)

            def worth(place: str) -> float:
                type_ = type_of(place)
                pieces = sum(type_of(other) == type_ for other in self._places)
                return shares[type_] / pieces / (1 + (type_ in _OPENABLE))

            places.sort(key=worth, reverse=True)
        first = first or self._hunches(object_type)
        rank = {type_: at for at, type_ in enumerate(first)}
        return sorted(places, key=lambda place: rank.get(type_of(place), len(rank)))

    def _shares(self, object_type: str) -> dict[str, float]:
        """How usual each type of place in this room is for an object, in this person's opinion."""
        spread = _SPREAD if self._is_expert else _ROUGHLY
        types = sorted({type_of(place) for place in self._places})
        priors = _lower_case_priors(_rooms_with(types)).get(object_type, {})
        return {
            type_: max(priors.get(type_, 0), _UNHEARD_OF)
            * self._chance(object_type, type_).lognormvariate(0.0, spread)
            for type_ in types
        }

    def _hunches(self, object_type: str) -> Sequence[str]:
        """A few kinds of place where someone who does not know looks first, for no reason."""
        if self._knows:
            return ()
        chance = self._chance(object_type)
        kinds = list(dict.fromkeys(type_of(place) for place in self._places))
        return chance.sample(kinds, chance.choice(_HUNCHES))

    def _chance(self, *what: str) -> Random:
        return Random(seed_from(self._seed, *what))  # noqa: S311 (a person, not a secret)

    def _one_of(self, place_type: str) -> str:
        """The place of a type that the person uses: always that of the least number."""
        places = [place for place in self._places if type_of(place) == place_type]
        if not places:
            raise _Over(place_type)
        return min(places, key=lambda place: int(place.split()[1]))

    def _go(self, place: str, thought: str) -> None:
        """Goes to a place, unless there already, and opens it where it is closed."""
        if self._at != place:
            self._do(f"go to {place}", thought)
            self._at = place
        if place not in self._seen:
            self._do(f"open {place}", f"The {type_of(place)} is closed. I open it.")

    def _do(self, action: str, thought: str, *, mistake: bool = False) -> str:
        """Acts, and remembers what there is to see.

        Returns:
            The observation.

        Raises:
            _Over: The task is solved, or has taken too many steps.
        """
        result = self._environment.step(action)
        thought = f"{self._intention}{thought}"
        self._intention = ""  # Said once, at the start.
        self.steps.append(
            ExpertStep(
                action=action, observation=result.observation, thought=thought, mistake=mistake
            )
        )
        self.success = result.success
        sight = read_sight(result.observation)
        if sight and sight.things is not None:
            self._seen[sight.place] = sight.things
        if result.terminated or len(self.steps) >= MOST_STEPS:
            raise _Over
        return result.observation


def _intention(wish: Wish) -> str:
    """What the person sets out to do, in words."""
    what = _a(wish.object_type) if wish.count == 1 else f"two {wish.object_type}s"
    it = "it" if wish.count == 1 else "them one by one"
    if wish.lamp_type:
        return f"I need to find {what}, take it, and turn on the {wish.lamp_type}. "
    treat = f", {wish.verb} it with the {_STATIONS[wish.verb]}," if wish.verb else ""
    return f"I need to find {what}{treat} and put {it} {_where(wish.place_type or '')}. "


def _need(type_: str) -> str:
    """How a thought about a thing begins: what is sought stands before what is seen of it.

    So a small model that learns from these thoughts can compare the two where it has to decide.
    """
    return f"I need {_a(type_)}"


def _in_this_order(types: Sequence[str], hinted: Collection[str]) -> str:
    """What a person says before a search: the kinds of place, those that the plan names apart."""
    kinds = list(dict.fromkeys(types))
    said = ", ".join(kind for kind in kinds if kind in hinted)
    rest = ", ".join(kind for kind in kinds if kind not in hinted)
    if not said:
        return f"I look in this order: {rest}. "
    return f"The plan says: {said}. Then I look in this order: {rest}. "


def _looks(object_type: str, place: str) -> str:
    """The thought of a step of a search."""
    why = f"One may be {_where(type_of(place))}"
    return f"{_need(object_type)}, and none is here. {why}. I look at {place}."


def _a(noun: str) -> str:
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def _where(place_type: str) -> str:
    return f"{'in' if place_type in _INSIDE else 'on'} the {place_type}"


def _rooms_with(place_types: Collection[str]) -> tuple[str, ...]:
    """The kinds of room that these places fit best."""

    def fit(room: Room) -> float:
        certain = [type_.lower() for type_, piece in room.furniture.items() if piece.chance == 1]
        return sum(type_ in place_types for type_ in certain) / len(certain)

    fits = {name: fit(room) for name, room in read_world().rooms.items()}
    return tuple(name for name in fits if fits[name] == max(fits.values()))


@cache
def _lower_case_priors(rooms: tuple[str, ...]) -> dict[str, dict[str, int]]:
    """Where objects lie in these kinds of room."""
    return {
        object_type.lower(): {place.lower(): share for place, share in prior.places.items()}
        for object_type, prior in merged_rooms(rooms).objects.items()
    }
