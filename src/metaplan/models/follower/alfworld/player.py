"""The follower in one episode of ALFWorld."""

from __future__ import annotations

import random

from metaplan.models.follower.alfworld.intents import Intent, read_plan
from metaplan.models.follower.alfworld.memory import Memory
from metaplan.models.follower.alfworld.policy import Policy, own_intents
from metaplan.models.follower.alfworld.reading import read_scene
from metaplan.models.follower.moves import FollowerSettings, Move, Moves, chance
from metaplan.models.follower.reading import Conversation

__all__ = ["AlfworldPlayer"]


class AlfworldPlayer:
    """A `Player` that goes to receptacles and handles what is in them.

    Args:
        conversation: The task, with or without a plan.
        settings: How able it is.
        seed: The episode's.
    """

    def __init__(self, conversation: Conversation, settings: FollowerSettings, seed: int) -> None:
        self._conversation = conversation
        self._settings = settings
        self._seed = seed
        self._scene = read_scene(conversation)
        self._memory = Memory()

    def moves(self) -> Moves:
        """See `Player.moves`."""
        chance = self.chance(-1)
        forgets = chance.random() < self._settings.forgetfulness
        return Policy(
            self._intents(forgets=forgets),
            trusted=self._conversation.plan is not None,
            goal=self._scene.goal,
            places=self._scene.places,
            memory=self._memory,
            patience=self._settings.patience,
            skip_rate=self._settings.skip_rate,
            chance=chance,
        ).moves()

    def observe(self, action: str, observation: str) -> None:
        """See `Player.observe`."""
        self._memory.observe(action, observation)

    def slip(self, chance: random.Random) -> Move:
        """Elsewhere, again, or nothing but a look."""
        places = self._scene.places
        options = ["look", "inventory", self._memory.last_action]
        options += [f"go to {place}" for place in places[:1]]
        if places:
            options.append(f"go to {chance.choice(places)}")
        return Move(chance.choice([option for option in options if option]), "Let me see.")

    def chance(self, turn: int) -> random.Random:
        """See `Player.chance`."""
        return chance((self._scene.task, self._scene.places), self._seed, turn)

    def _intents(self, *, forgets: bool) -> tuple[Intent, ...]:
        if self._conversation.plan is not None:
            return read_plan(self._conversation.plan)
        return own_intents(self._scene.goal, forgets=forgets) if self._scene.goal else ()
