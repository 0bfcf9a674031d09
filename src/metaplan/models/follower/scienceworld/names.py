"""Which of the things in sight a plan or a task means by its words."""

from __future__ import annotations

import random
import re

from metaplan.models.follower.scienceworld.memory import Memory

__all__ = ["KINDS", "PRONOUNS", "Names"]

PRONOUNS = frozenset({"", "it", "them", "thing", "object", "item", "substance", "there"})
_QUALITY = re.compile(r" with (?:the|its) .*")
_ANIMAL = re.compile(r"(?:adult|baby|juvenile|hatchling) |.* (?:egg|pupa)$|tadpole|caterpillar")
_PLANT = re.compile(r".*\b(?:tree|plant|seed)\b(?! jar)")
KINDS = frozenset({"animal", "plant", "living thing", "non-living thing"})
_FILLING = {"a", "the", "with", "of", "in", "and", "containing"}


class Names:
    """Finds the name by which to speak of a thing.

    What a reader of English knows, it knows: that what has an age lives, and that where nothing is
    called as the plan says, a thing of a similar name may be meant that the task speaks of.

    Args:
        task: The task's words, in lower case.
        subject: What the task is about, e.g. ``water``.
        memory: What is in sight.
        chance: Chooses among equals.
    """

    def __init__(self, task: str, subject: str, memory: Memory, chance: random.Random) -> None:
        self._words_of_task = set(re.findall(r"\w+", task))
        self._subject = subject
        self._memory = memory
        self._chance = chance

    def of(self, noun: str, example: str = "") -> str:
        """The name of a thing in sight that a noun means; empty if there is none.

        Args:
            noun: From a plan or a task; empty, or "it", is what was focused on last.
            example: Tried first.
        """
        memory = self._memory
        if example and (named := self._called(example)):
            return named
        if memory.focus and noun in (PRONOUNS | {self._subject}):
            return memory.focus
        noun = self._subject if noun in PRONOUNS else noun
        if noun not in KINDS and (named := self._called(noun)):
            return self._instance(named)
        return self._any_of(_QUALITY.sub("", noun)) or self._similar(noun)

    def all(self, noun: str) -> list[str]:
        """Every thing in sight of a numbered kind, e.g. ``flower pot 1`` and ``flower pot 2``."""
        numbered = re.compile(rf"\b(?:self watering )?{re.escape(noun)} \d+")
        return [name for name in self._memory.things() if numbered.fullmatch(name)]

    def _called(self, noun: str) -> str:
        """The noun itself, or a name of the same words: "cherry tree in the adult stage"."""
        if self._memory.sees(noun):
            return noun
        words = set(noun.split())
        things = self._memory.things()
        return next((name for name in things if words and words <= set(name.split())), "")

    def _instance(self, noun: str) -> str:
        """One of several numbered things: that which holds what was focused on, or the first."""
        instances = self.all(noun)
        focus = self._memory.focus
        seen = self._memory.rooms.get(self._memory.room, "")
        for name in instances:
            if focus and re.search(rf"{name} \([^)]*{re.escape(focus)}", seen):
                return name
        return instances[0] if instances else noun

    def _any_of(self, kind: str) -> str:
        """One thing of a kind, e.g. of two inclined planes."""
        things = self._memory.things()
        animals = [name for name in things if _ANIMAL.match(name)]
        plants = [name for name in things if _PLANT.match(name)]
        fitting = {
            "animal": animals,
            "plant": plants,
            "living thing": animals + plants,
            "non-living thing": [
                name for name in self._memory.items() if name not in animals + plants
            ],
        }.get(kind, [name for name in things if name.startswith(f"{kind} ")])
        return self._chance.choice(fitting) if fitting else ""

    def _similar(self, noun: str) -> str:
        """A thing of a similar name whose difference is the task's: "unknown substance h"."""
        words = set(noun.split())
        similar = []
        for name in self._memory.things():
            others = set(name.split())
            different = others - words - _FILLING
            # Different, but not less than the noun: salt water is not any water.
            if words & others - _FILLING and different and different <= self._words_of_task:
                similar.append(name)
        return self._chance.choice(similar) if similar else ""
