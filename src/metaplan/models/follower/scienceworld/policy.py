"""How the follower acts in ScienceWorld: plan in hand or on its own, as generators of moves.

As in ALFWorld, a generator yields the move that it wants to make and is resumed after the memory
has taken in what really happened, so the whole episode can be replayed from its text.
"""

from __future__ import annotations

import random
from collections.abc import Generator, Sequence

from metaplan.models.follower.moves import Move, Moves
from metaplan.models.follower.scienceworld.intents import Intent, read_subject
from metaplan.models.follower.scienceworld.memory import Memory
from metaplan.models.follower.scienceworld.names import KINDS, PRONOUNS, Names

__all__ = ["Policy"]

Attempt = Generator[Move, None, bool]
"""Moves, and in the end whether they had success."""

_ATTEMPTS = 2
_PASSES = 2
_LAST_WAITS = 8
_MEASUREMENTS = 12
_MEASUREMENTS_TO_AN_END = 40
_LOOKS = 60
_WAITS = 6
_LOOKS_IN_WAITING = 20
_SIMPLE = {
    "mix": "mix",
    "activate": "activate",
    "deactivate": "deactivate",
    "open": "open",
    "close": "close",
    "read": "read",
    "disconnect": "disconnect",
    "examine": "examine",
    "focus": "focus on",
    "pick": "pick up",
}
_POLES = ("anode", "cathode", "terminal")


class Policy:
    """Carries out intents one by one; once more where some of them fail.

    Args:
        intents: What to do.
        task: The task's words, in lower case.
        memory: Filled by the caller between moves.
        patience: How many rooms an own search looks at.
        skip_rate: Probability of overlooking an intent.
        chance: Where an own search goes, which intents are overlooked, which of equals is taken.
    """

    def __init__(
        self,
        intents: Sequence[Intent],
        *,
        task: str,
        memory: Memory,
        patience: int,
        skip_rate: float,
        chance: random.Random,
    ) -> None:
        self._intents = intents
        self._memory = memory
        self._names = Names(task, read_subject(task), memory, chance)
        self._patience = patience
        self._skip_rate = skip_rate
        self._chance = chance
        self._home = ""
        self._failed = False

    def moves(self) -> Moves:
        """The moves of an episode, without end.

        After the last step, or when starting over did not help either, it waits for a while and
        then has nothing left to do, which no simulator takes for an action.
        """
        for _ in range(_PASSES):
            self._failed = False
            for index, intent in enumerate(self._intents):
                if self._chance.random() >= self._skip_rate:
                    yield from self._pass(index, intent)
            if not self._failed:
                break
            yield Move("look around", "It did not work. I start over.")
        for _ in range(_LAST_WAITS):
            yield Move("wait", "I am through with it. I wait and see.")
        while True:
            yield Move("finish", "There is nothing left to do.")

    def _pass(self, index: int, intent: Intent) -> Moves:
        """Carries out one intent, and goes on where the plan is, whatever it had to look for."""
        home = self._home
        done = yield from self._perform(index, intent)
        self._failed |= not done
        if home and not intent.room and intent.verb != "search":
            self._home = home

    def _perform(self, index: int, intent: Intent) -> Attempt:
        match intent.verb:
            case "go":
                attempt = self._go(intent.room)
            case "search":
                attempt = self._find(intent.thing, intent.example)
            case "look":
                attempt = self._attempt("look around")
            case "move" | "pour":
                attempt = self._transfer(intent)
            case "connect":
                attempt = self._connect(intent)
            case "use":
                attempt = self._use(intent)
            case "examine" if intent.often:
                attempt = self._watch(intent)
            case "wait":
                attempt = self._wait(intent.until, self._sought(index))
            case "other":
                attempt = self._attempt(intent.text)
            case _:
                attempt = self._handle(intent)
        return (yield from attempt)

    # --- the steps -------------------------------------------------------------------------

    def _go(self, room: str) -> Attempt:
        self._home = room
        self._memory.know(room)
        for _ in range(_ATTEMPTS):
            if self._memory.room == room:
                return True
            yield Move(f"teleport to {room}", f"I go to the {room}.")
        return self._memory.room == room

    def _handle(self, intent: Intent) -> Attempt:
        """A verb with one thing, which is looked for where it is not in sight."""
        if intent.room:
            yield from self._go(intent.room)
        verb = _SIMPLE[intent.verb]
        plain = not intent.example and self._is_plain(intent.thing)
        if plain and (yield from self._attempt(f"{verb} {intent.thing}")):
            return True
        if not (yield from self._find(intent.thing, intent.example)):
            return False
        name = self._names.of(intent.thing, intent.example)
        return (yield from self._attempt(f"{verb} {name}"))

    def _transfer(self, intent: Intent) -> Attempt:
        """Moves or pours a thing to a place, or to each such place."""
        if intent.room and intent.room != self._memory.room:
            yield from self._carry(intent.thing, intent.room)
        if intent.each:
            return (yield from self._transfer_to_each(intent))
        said = self._transfer_action(intent, intent.thing, intent.place)
        if self._is_plain(intent.thing) and (yield from self._attempt(said)):
            return True
        if not (yield from self._find(intent.thing, intent.example)):
            return False
        yield from self._look()
        if not self._names.of(intent.place):
            yield from self._attempt(f"pick up {self._names.of(intent.thing) or intent.thing}")
            if not (yield from self._find(intent.place)):
                return False
        thing, place = self._names.of(intent.thing), self._names.of(intent.place)
        return (yield from self._attempt(self._transfer_action(intent, thing, place)))

    def _transfer_to_each(self, intent: Intent) -> Attempt:
        yield from self._look()
        places = self._names.all(intent.place) or [intent.place]
        done = True
        for place in places:
            thing = self._names.of(intent.thing) or intent.thing
            done &= yield from self._attempt(self._transfer_action(intent, thing, place))
        return done

    @staticmethod
    def _transfer_action(intent: Intent, thing: str, place: str) -> str:
        return f"{intent.verb} {thing} {'into' if intent.verb == 'pour' else 'to'} {place}"

    def _carry(self, thing: str, room: str) -> Attempt:
        if (name := self._names.of(thing)) and name not in self._memory.held:
            yield from self._attempt(f"pick up {name}")
        return (yield from self._go(room))

    def _connect(self, intent: Intent) -> Attempt:
        if not self._memory.terminals and (
            yield from self._attempt(f"connect {intent.thing} to {intent.place}")
        ):
            return True
        if not self._memory.terminals and not (yield from self._find(intent.thing)):
            return False
        thing = self._names.of(intent.thing) or intent.thing
        place = self._names.of(intent.place) or intent.place
        action = f"connect {self._end(thing)} to {self._end(place)}"
        return (yield from self._attempt(action))

    def _use(self, intent: Intent) -> Attempt:
        """Uses a thing on another one; repeatedly, until that is something else, or is gone."""
        thing, place = intent.thing, intent.place
        often = _MEASUREMENTS_TO_AN_END if intent.until else _MEASUREMENTS
        for count in range(often if intent.often else 1):
            action = f"use {thing} on {place}" if place else f"use {thing}"
            if not (yield from self._attempt(action)):
                if count or not (yield from self._find(place or thing)):
                    return bool(count)
                place = self._names.of(place) if place else ""
            if intent.until and intent.until in self._memory.heard:
                return True
        return True

    def _watch(self, intent: Intent) -> Attempt:
        """Looks at a thing until its description says that something is reached."""
        thing, end = intent.thing, " ".join(intent.until.split()[-3:])
        for count in range(_LOOKS):
            if not (yield from self._attempt(f"look at {thing}")):
                if count or not (yield from self._find(thing)):
                    return bool(count)
                thing = self._names.of(thing)
            if end and end in self._memory.heard:
                return True
        return True

    def _wait(self, until: str, sought: str) -> Attempt:
        """Waits until a thing is in sight: the plan's, or what the next step needs."""
        for _ in range(_LOOKS_IN_WAITING if until else 0):
            if self._memory.sees(until):
                return True
            yield from self._look()
        for _ in range(0 if until else _WAITS):
            yield Move("wait", "I wait.")
            if not sought:
                return True
            yield from self._look()
            if self._memory.sees(sought):
                return True
        return False

    # --- what steps are made of ------------------------------------------------------------

    def _attempt(self, action: str) -> Attempt:
        """Tries an action where the plan wants it, and says which thing is meant when asked."""
        for _ in range(_ATTEMPTS):
            if self._home and self._memory.room != self._home:
                yield Move(f"teleport to {self._home}", f"I go back to the {self._home}.")
            yield Move(action, f"I {action}.")
            if self._memory.asked == action:
                yield Move(self._answer(action), "I say which one I mean.")
            if self._memory.done == action:
                return True
            if self._memory.refused == action:
                return False
        return False

    def _answer(self, action: str) -> str:
        """What is in hand is meant to be moved; anything but that, to be focused on."""
        held = [n for n, option in enumerate(self._memory.options) if "in inventory" in option]
        if action.startswith(("move", "pour")) and held:
            return str(held[0])
        others = [n for n in range(len(self._memory.options)) if n not in held]
        return str(others[0] if others else 0)

    def _look(self) -> Moves:
        yield Move("look around", "I look around.")

    def _find(self, noun: str, example: str = "") -> Attempt:
        """Brings a thing into sight: looks here, then in other rooms as far as patience goes."""
        memory = self._memory
        if memory.room not in memory.rooms or not self._names.of(noun, example):
            yield from self._look()
        if self._names.of(noun, example):
            return True
        rooms = [room for room in memory.doors if room != memory.room]
        self._chance.shuffle(rooms)
        seen = [room for room in rooms if memory.sees(noun, room)]
        for room in (*seen, *(room for room in rooms if room not in seen))[: self._patience]:
            yield from self._go(room)
            yield from self._look()
            if self._names.of(noun, example):
                return True
        return False

    # --- what it knows ---------------------------------------------------------------------

    def _is_plain(self, noun: str) -> bool:
        """Whether a noun may be the simulator's own name for a thing."""
        return noun not in PRONOUNS and noun not in KINDS

    def _sought(self, index: int) -> str:
        """What the step after this one needs to see."""
        later = self._intents[index + 1 : index + 2]
        return later[0].thing if later and later[0].verb in {"focus", "pick"} else ""

    def _end(self, thing: str) -> str:
        """One end of a thing: its free terminal, where no pole is named."""
        if any(pole in thing for pole in _POLES):
            return thing
        ends = [f"{thing} terminal {number}" for number in (1, 2)]
        return next((end for end in ends if end not in self._memory.used), ends[0])
