"""How the follower acts in ALFWorld: plan in hand or on its own, as generators of moves.

A generator yields the move that it wants to make and is resumed after the memory has taken in
what really happened (a slip may have come between). Nothing else carries state, so the whole
episode can be replayed from its text.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from metaplan.models.follower.alfworld.intents import Intent
from metaplan.models.follower.alfworld.memory import Memory, kind_of
from metaplan.models.follower.alfworld.reading import Goal
from metaplan.models.follower.moves import Move, Moves

__all__ = ["Policy", "own_intents"]

_APPLIANCES = {"clean": "sinkbasin", "heat": "microwave", "cool": "fridge"}
# Weak common sense: large open surfaces first, what has to be opened last.
_LIKELY = (
    "countertop", "diningtable", "desk", "sidetable", "dresser", "coffeetable", "bed", "sofa",
    "armchair", "shelf", "tvstand", "toilet", "sinkbasin", "stoveburner", "garbagecan", "fridge",
)  # fmt: skip
_ATTEMPTS = 2


def own_intents(goal: Goal, *, forgets: bool) -> tuple[Intent, ...]:
    """What the follower would do without a plan.

    Args:
        goal: The task.
        forgets: Leaves out what makes the task more than fetching one thing: the treatment, the
            lamp, or the second object.
    """
    fetch = (Intent("search", goal.object), Intent("take", goal.object))
    if goal.lamp:
        return fetch if forgets else (*fetch, Intent("use", goal.lamp))
    treat = () if goal.treatment is None or forgets else (Intent(goal.treatment, goal.object),)
    deliver = (Intent("visit", place=goal.target), Intent("put", goal.object, goal.target))
    once = (*fetch, *treat, *deliver)
    return once * (1 if forgets else goal.count)


class Policy:
    """Carries out intents one by one; over and over while some of them fail.

    Args:
        intents: What to do.
        trusted: Whether the intents come from a plan: a search that it asks for goes through the
            whole room in a sensible order.
        goal: The task; None where it was not understood.
        places: The room's receptacles in the order of the listing.
        memory: Filled by the caller between moves.
        patience: How many places an own search looks at.
        skip_rate: Probability of overlooking an intent.
        chance: Where an own search begins, and which intents are overlooked.
    """

    def __init__(
        self,
        intents: Sequence[Intent],
        *,
        trusted: bool,
        goal: Goal | None,
        places: Sequence[str],
        memory: Memory,
        patience: int,
        skip_rate: float,
        chance: random.Random,
    ) -> None:
        self._intents = intents
        self._trusted = trusted
        self._goal = goal
        self._places = places
        self._memory = memory
        self._patience = patience
        self._skip_rate = skip_rate
        self._chance = chance
        self._looked: set[str] = set()
        self._failed = False

    def moves(self) -> Moves:
        """The moves of an episode, without end."""
        while True:
            self._looked.clear()
            self._failed = False
            for index, intent in enumerate(self._intents):
                if self._chance.random() >= self._skip_rate:
                    yield from self._perform(index, intent)
            while not self._failed:
                yield Move(self._memory.last_action or "look", "All is done. I make sure.")
            yield Move("look", "It did not work. I start over.")

    def _perform(self, index: int, intent: Intent) -> Moves:
        match intent.verb:
            case "visit":
                yield from self._visit(intent.place, self._sought(index))
            case "search":
                yield from self._search(intent.object or self._goal_object, self._sought(index))
            case "take":
                yield from self._take(intent.object or self._goal_object, intent.place)
            case "put":
                yield from self._put(intent)
            case "clean" | "heat" | "cool":
                yield from self._treat(intent)
            case "use":
                yield from self._use(intent.object)
            case "open":
                yield from self._open(intent.place, self._sought(index))
            case "close":
                yield from self._close(intent.place)
            case "other":
                yield Move(intent.text, "The plan says so.")

    # --- the steps -------------------------------------------------------------------------

    def _visit(self, place: str, sought: str) -> Moves:
        """Goes to a place; to each of its kind in turn while something is sought."""
        if sought and self._spot(sought):
            return
        candidates = self._resolve(place)
        if not candidates:
            yield from self._insist(f"go to {place}", f"The plan says to go to the {place}.")
        elif sought:
            yield from self._look_through(candidates, sought)
        else:
            yield from self._go(self._destination(candidates))

    def _search(self, thing: str, sought: str) -> Moves:
        """Looks for an object; or goes to a receptacle, where a step says "where the sofa is"."""
        candidates = [] if thing in {sought, self._goal_object} else self._resolve(thing)
        if candidates:
            yield from self._go(self._destination(candidates))
        elif self._trusted:
            yield from self._look_through(sorted(self._places, key=_likelihood), thing)
        else:
            yield from self._search_alone(thing)

    def _take(self, kind: str, place: str) -> Moves:
        memory = self._memory
        if kind_of(memory.holding) == kind:
            return
        if place:
            yield from self._look_through(self._resolve(place), kind)
        if not self._spot(kind):
            yield from self._search_alone(kind)
        thing, where = self._spot(kind) or (f"{kind} 1", memory.at or f"{place or 'room'} 1")
        yield from self._manipulate(
            where,
            f"take {thing} from {where}",
            f"I take the {thing}.",
            lambda: memory.holding == thing,
        )

    def _put(self, intent: Intent) -> Moves:
        memory = self._memory
        thing = memory.holding or f"{intent.object or self._goal_object} 1"
        candidates = self._resolve(intent.place)
        place = self._destination(candidates) if candidates else f"{intent.place} 1"
        yield from self._manipulate(
            place,
            f"put {thing} in/on {place}",
            f"I put the {thing} in or on the {place}.",
            lambda: memory.placed.get(thing) == place,
        )

    def _treat(self, intent: Intent) -> Moves:
        memory, verb = self._memory, intent.verb
        thing = memory.holding or f"{intent.object or self._goal_object} 1"
        kind = intent.place or _APPLIANCES[verb]
        candidates = self._resolve(kind)
        appliance = self._destination(candidates) if candidates else f"{kind} 1"
        yield from self._manipulate(
            appliance,
            f"{verb} {thing} with {appliance}",
            f"I {verb} the {thing} with the {appliance}.",
            lambda: (verb, thing) in memory.treated,
            opens=False,
        )

    def _use(self, word: str) -> Moves:
        memory, kind = self._memory, self._lamp(word)
        if appliances := self._resolve(kind):
            thing = where = self._destination(appliances)
        else:
            if not self._spot(kind):
                yield from self._search_alone(kind)
            thing, where = self._spot(kind) or (f"{kind} 1", memory.at)
        yield from self._manipulate(
            where, f"use {thing}", f"I use the {thing}.", lambda: thing in memory.lit, opens=False
        )

    def _open(self, place: str, sought: str) -> Moves:
        if sought and self._spot(sought):
            return
        candidates = self._resolve(place)
        if not candidates:
            yield from self._insist(f"open {place}", f"The plan says to open the {place}.")
        else:
            yield from self._inspect(self._destination(candidates))

    def _close(self, place: str) -> Moves:
        at = self._memory.at
        if at in self._resolve(place) and at not in self._memory.closed:
            yield Move(f"close {at}", f"I close the {at}.")

    # --- what steps are made of ------------------------------------------------------------

    def _insist(self, action: str, thought: str, done: Callable[[], bool] = lambda: False) -> Moves:
        """Attempts an action until it is done, at most twice."""
        for _ in range(_ATTEMPTS):
            if done():
                return
            yield Move(action, thought)

    def _manipulate(
        self,
        place: str,
        action: str,
        thought: str,
        done: Callable[[], bool],
        *,
        opens: bool = True,
    ) -> Moves:
        """Attempts an action at a place until it is done, at most twice; else this is a failure."""
        for _ in range(_ATTEMPTS):
            if done():
                return
            if place in self._places:
                yield from self._inspect(place) if opens else self._go(place)
            yield Move(action, thought)
        if not done():
            self._failed = True

    def _go(self, place: str) -> Moves:
        """Goes to a place; examines it where that is refused, since one may stand there already.

        (In ALFWorld, one spot can be in front of several receptacles.)
        """
        memory, action = self._memory, f"go to {place}"
        for _ in range(_ATTEMPTS):
            if memory.at == place:
                return
            if memory.refused == action:
                yield Move(f"examine {place}", f"I can't go to the {place}. Am I there?")
            else:
                yield Move(action, f"I go to the {place}.")

    def _inspect(self, place: str) -> Moves:
        """Goes to a place and opens it if it is closed."""
        yield from self._go(place)
        yield from self._insist(
            f"open {place}",
            f"The {place} is closed. I open it.",
            lambda: place not in self._memory.closed,
        )

    def _look_through(self, places: Sequence[str], thing: str) -> Moves:
        """Inspects places until the thing is found; none twice until it starts over."""
        for place in places:
            if self._spot(thing):
                return
            if place not in self._looked:
                yield from self._inspect(place)
                self._looked.add(place)

    def _search_alone(self, thing: str) -> Moves:
        """Own search: on from some place in the room's listing, as far as patience goes."""
        start = self._chance.randrange(len(self._places) or 1)
        turned = [*self._places[start:], *self._places[:start]]
        fresh = [place for place in turned if place not in self._looked]
        yield from self._look_through(fresh[: self._patience], thing)

    # --- what it knows ---------------------------------------------------------------------

    @property
    def _goal_object(self) -> str:
        return self._goal.object if self._goal else "object"

    def _lamp(self, word: str) -> str:
        """What to use: "the lamp" is the lamp of the task."""
        lamp = self._goal.lamp if self._goal else ""
        return lamp if word in lamp else word

    def _sought(self, index: int) -> str:
        """What the steps after this one will want to have found; empty for nothing."""
        for later in self._intents[index + 1 :]:
            match later.verb:
                case "take":
                    return later.object or self._goal_object
                case "use":
                    return self._lamp(later.object)
                case "visit" | "search" | "open" | "close":
                    continue
                case _:
                    return ""
        return ""

    def _spot(self, kind: str) -> tuple[str, str] | None:
        """A thing of the kind and its place, if one was seen that is not yet where it belongs."""
        done = self._goal.target if self._goal and self._goal.count == 2 else ""
        for thing, place in self._memory.seen(kind):
            if kind_of(place) != done:
                return thing, place
        return None

    def _resolve(self, place: str) -> list[str]:
        """The room's receptacles that a word means, lowest number first: itself, else similar.

        No word means the place where the agent is.
        """
        if not place:
            return [self._memory.at] if self._memory.at else []
        if place in self._places:
            return [place]
        kind = kind_of(place)
        same = [name for name in self._places if kind_of(name) == kind]
        if not same and len(kind) > 2:
            same = [name for name in self._places if kind in kind_of(name)]
        return sorted(same, key=lambda name: int(name.split(" ")[1]))

    def _destination(self, candidates: Sequence[str]) -> str:
        """Where to go when any will do: here, where something was put before, or the first."""
        for place in (self._memory.at, *self._memory.placed.values()):
            if place in candidates:
                return place
        return candidates[0]


def _likelihood(place: str) -> int:
    kind = kind_of(place)
    return _LIKELY.index(kind) if kind in _LIKELY else len(_LIKELY)
