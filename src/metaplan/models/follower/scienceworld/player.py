"""The follower in one episode of ScienceWorld."""

from __future__ import annotations

import random

from metaplan.models.follower.moves import FollowerSettings, Move, Moves, chance
from metaplan.models.follower.reading import Conversation
from metaplan.models.follower.scienceworld.intents import ROOMS, Intent, read_plan, read_task
from metaplan.models.follower.scienceworld.memory import Memory
from metaplan.models.follower.scienceworld.policy import Policy

__all__ = ["ScienceWorldPlayer"]


class ScienceWorldPlayer:
    """A `Player` that goes through rooms and does experiments.

    Args:
        conversation: The task, with or without a plan.
        settings: How able it is.
        seed: The episode's.
    """

    def __init__(self, conversation: Conversation, settings: FollowerSettings, seed: int) -> None:
        self._plan = conversation.plan
        self._settings = settings
        self._seed = seed
        self._task = conversation.task.partition("\n")[0].strip()
        self._memory = Memory()
        self._memory.look(conversation.task.lower())
        self._memory.know(*(room for room in ROOMS if room in self._task.lower()))

    def moves(self) -> Moves:
        """See `Player.moves`."""
        chance = self.chance(-1)
        forgets = chance.random() < self._settings.forgetfulness
        return Policy(
            self._intents(forgets=forgets),
            task=self._task.lower(),
            memory=self._memory,
            patience=self._settings.patience,
            skip_rate=self._settings.skip_rate,
            chance=chance,
        ).moves()

    def observe(self, action: str, observation: str) -> None:
        """See `Player.observe`."""
        self._memory.observe(action, observation)

    def slip(self, chance: random.Random) -> Move:
        """Elsewhere, or nothing but a look."""
        options = ["look around", "inventory", "wait1"]
        if self._memory.doors:
            options.append(f"teleport to {chance.choice(self._memory.doors)}")
        return Move(chance.choice(options), "Let me see.")

    def chance(self, turn: int) -> random.Random:
        """See `Player.chance`."""
        return chance((self._task,), self._seed, turn)

    def _intents(self, *, forgets: bool) -> tuple[Intent, ...]:
        """The plan's; else what the task says, without its last deed where it forgets that."""
        if self._plan is not None:
            return read_plan(self._plan)
        own = read_task(self._task)
        return own[:-1] if forgets and len(own) > 1 else own
