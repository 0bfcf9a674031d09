"""An expert that explores as a person would: reads, remembers, and looks in likely places first.

It sees text only. What an expert knows beforehand is where such objects usually lie
(``world.json``), with an own opinion of that; writers of plans know it roughly; other people look
in a few places on a hunch, and then go through the room in the order in which it was told. Nobody
knows the house. Shown a plan, they take from it one thing: for each object that they search, the
kinds of place that the plan names come first, in the plan's order. Everything else they do as the
task says, whatever the plan says.

Before each search they say in what order they will look. So a small model that learns from these
thoughts need not tell from the whole conversation where it has not been: what comes next stands in
the list. The plan's kinds of place are said as they stand in the plan; of one that is of no use
they say so when its turn comes, so that to copy and to see what is there are two decisions, not
one. Two things of a kind are one search, in one order, whichever of them the plan speaks of: for
the second they say what is left of it. What they see and will need later, they say.

People slip now and then while they search: they go where they are, or to a place of the plan that
there is not. An agent that learned from right actions alone would not know what to do after its own
slips (DART, Laskey et al., 2017).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from functools import cache
from itertools import chain
from random import Random

from metaplan.core import ExpertStep, ExpertTrajectory, MetaPlan, Task, seed_from
from metaplan.environments.alfworld import thoughts
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
        kinds = _kinds_of_place() | {type_of(place) for place in self._places}
        self._slips = self._chance("slips")
        self._hints: tuple[Hint, ...] = read_hints(plan, kinds) if plan else ()
        self._seen: dict[str, tuple[str, ...]] = {}
        self._at = ""
        self._intention = ""
        self._order: list[str] = []  # The kinds of place of the last search, as they were told.
        self._sought = ""  # The type that was searched last, and where one was found.
        self._found_at = ""
        self._lamp = ""  # The type that will be needed, until one was seen.
        self.steps: list[ExpertStep] = []
        self.success = False

    def fulfil(self, wish: Wish) -> None:
        """Does the whole task."""
        self._intention = thoughts.intention(wish)
        self._lamp = wish.lamp_type or ""
        for _ in range(wish.count):
            goal = self._one_of(wish.place_type) if wish.place_type else ""
            # What lies at its goal already is of no use, unless it is to be treated first.
            thing = self._find(wish.object_type, besides="" if wish.verb else goal)
            self._take(thing)
            if wish.verb:
                self._treat(thing, wish.verb)
            if wish.lamp_type:
                lamp = self._find(wish.lamp_type)
                self._do(f"use {lamp}", thoughts.turns_on(lamp))
            else:
                self._bring(thing, goal)

    def _take(self, thing: str) -> None:
        rest = tuple(other for other in self._seen[self._at] if other != thing)
        alike = [other for other in rest if type_of(other) == type_of(thing)]
        thought = thoughts.takes(thing, alike, self._at)
        self._do(f"take {thing} from {self._at}", thought)
        self._seen[self._at] = rest
        self._lamp = ""  # From now on it is sought itself.

    def _treat(self, thing: str, verb: Verb) -> None:
        station = self._one_of(thoughts.STATIONS[verb])
        if self._at != station:
            self._do(f"go to {station}", thoughts.brings(thing, station, verb))
            self._at = station
        self._do(f"{verb} {thing} with {station}", thoughts.treats(thing, station, verb))

    def _bring(self, thing: str, goal: str) -> None:
        self._go(goal, thoughts.brings(thing, goal))
        self._do(f"put {thing} in/on {goal}", thoughts.puts(thing, goal))

    def _find(self, object_type: str, besides: str = "") -> str:
        """Goes to where an object of a type is, and says which.

        Args:
            object_type: What to look for.
            besides: A place where it does not count; people never look in others of its kind.

        Raises:
            _Over: There is none to be found.
        """
        for place, thing in self._remembered(object_type, besides):
            self._go(place, thoughts.goes_back(thing, place))
            return thing
        if object_type == self._sought and not self._knows:
            self._order = self._left(besides)
            self._intention += thoughts.on_in_this_order(self._order)
        else:
            hinted = self._hinted(object_type)
            self._order = self._in_order(object_type, besides, hinted)
            self._intention += thoughts.in_this_order(self._order, hinted)
        self._sought = object_type
        passed: list[tuple[str, str]] = []  # Kinds that come next but are left out, and why.
        begun = False
        for type_ in self._order:
            places = [place for place in self._unseen(besides) if type_of(place) == type_]
            for place in places:
                if begun and self._slips_here():
                    self._do(f"go to {self._at}", self._looks(object_type, self._at), mistake=True)
                self._go(place, self._looks(object_type, place, passed))
                begun, passed = True, []
                if found := self._here(object_type):
                    self._found_at = place
                    return found[0]
            if not places:
                passed = self._pass_over(object_type, type_, besides, passed)
        raise _Over(object_type)

    def _pass_over(
        self, object_type: str, type_: str, besides: str, passed: list[tuple[str, str]]
    ) -> list[tuple[str, str]]:
        """Leaves out a kind of place that the plan names in vain; by mistake goes even to it.

        Returns:
            What the next thought has to pass over.
        """
        if any(type_of(place) == type_ for place in self._places):
            goes_there = type_ == type_of(besides)
            return [*passed, (type_, thoughts.GOES_THERE if goes_there else thoughts.WAS_THERE)]
        if not self._slips_here():
            return [*passed, (type_, thoughts.NOT_THERE)]
        thought = self._looks(object_type, f"{type_} 1", passed)
        self._do(f"go to {type_} 1", thought, mistake=True)
        return []

    def _here(self, object_type: str) -> list[str]:
        """The things of a type that are where the person is."""
        things = self._seen.get(self._at, ())
        return [thing for thing in things if type_of(thing) == object_type]

    def _slips_here(self) -> bool:
        """Whether the next step of a search is a mistake; not where there is something to note."""
        slips = not self._is_expert and self._slips.random() < _SLIPS
        return slips and not self._here(self._lamp)

    def _looks(self, object_type: str, place: str, passed: Sequence[tuple[str, str]] = ()) -> str:
        """The thought of a step of a search, which notes a lamp that will be needed."""
        lamp = self._here(self._lamp)
        seen = f"{lamp[0]} at {self._at}" if lamp else ""
        thought = thoughts.looks(object_type, place, passed, seen)
        if lamp:
            self._lamp = ""
        return thought

    def _remembered(self, object_type: str, besides: str) -> Iterator[tuple[str, str]]:
        """Where the person saw such objects, where they are now first."""
        for place in sorted(self._seen, key=lambda place: place != self._at):
            for thing in self._seen[place]:
                if type_of(thing) == object_type and self._counts(place, besides):
                    yield place, thing

    def _left(self, besides: str) -> list[str]:
        """What is left of the order of the last search, for another thing of the same type."""
        done = self._order.index(type_of(self._found_at))
        if not any(type_of(p) == self._order[done] for p in self._unseen(besides)):
            done += 1
        return self._order[done:]

    def _hinted(self, object_type: str) -> tuple[str, ...]:
        """The kinds of place that the plan names for things of a type, whichever of them."""
        named = (hint.places for hint in self._hints if object_type in hint.words)
        return tuple(dict.fromkeys(chain.from_iterable(named)))

    def _unseen(self, besides: str) -> list[str]:
        left = (place for place in self._places if place not in self._seen)
        return [place for place in left if self._counts(place, besides)]

    def _counts(self, place: str, besides: str) -> bool:
        """Whether what lies there is of use."""
        if self._knows or not besides:
            return place != besides
        return type_of(place) != type_of(besides)

    def _in_order(self, object_type: str, besides: str, hinted: Sequence[str]) -> list[str]:
        """The kinds of place in the order in which this person looks there.

        Those that the plan names, as it names them. Then who knows goes by the chance per step
        spent there; who does not goes by a hunch or two and through the room as it was told, and on
        from there in later searches.
        """
        places = self._unseen(besides)
        if self._knows:
            shares = self._shares(object_type)

            def worth(place: str) -> float:
                type_ = type_of(place)
                pieces = sum(type_of(other) == type_ for other in self._places)
                return shares[type_] / pieces / (1 + (type_ in _OPENABLE))

            places.sort(key=worth, reverse=True)
        kinds = list(dict.fromkeys(type_of(place) for place in places))
        if self._order and not self._knows:
            kinds.sort(key=self._order.index)
        elif not hinted and not self._knows:
            kinds = list(dict.fromkeys((*self._hunches(object_type, kinds), *kinds)))
        return list(dict.fromkeys((*hinted, *kinds)))

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

    def _hunches(self, object_type: str, kinds: Sequence[str]) -> Sequence[str]:
        """A few kinds of place where someone who does not know looks first, for no reason."""
        chance = self._chance(object_type)
        return chance.sample(kinds, min(len(kinds), chance.choice(_HUNCHES)))

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
            self._do(f"open {place}", thoughts.opens(place))

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


def _rooms_with(place_types: Collection[str]) -> tuple[str, ...]:
    """The kinds of room that these places fit best."""

    def fit(room: Room) -> float:
        certain = [type_.lower() for type_, piece in room.furniture.items() if piece.chance == 1]
        return sum(type_ in place_types for type_ in certain) / len(certain)

    fits = {name: fit(room) for name, room in read_world().rooms.items()}
    return tuple(name for name in fits if fits[name] == max(fits.values()))


@cache
def _kinds_of_place() -> frozenset[str]:
    """In any room."""
    rooms = read_world().rooms.values()
    return frozenset(type_.lower() for room in rooms for type_ in room.furniture)


@cache
def _lower_case_priors(rooms: tuple[str, ...]) -> dict[str, dict[str, int]]:
    """Where objects lie in these kinds of room."""
    return {
        object_type.lower(): {place.lower(): share for place, share in prior.places.items()}
        for object_type, prior in merged_rooms(rooms).objects.items()
    }
