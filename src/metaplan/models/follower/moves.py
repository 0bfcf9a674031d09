"""What the follower's worlds have in common: a player that wants to make moves."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from pydantic import Field

from metaplan.core import Record, seed_from

__all__ = ["FollowerSettings", "Move", "Moves", "Player", "chance"]


class FollowerSettings(Record):
    """How able the follower is.

    Attributes:
        error_rate: Probability, per turn, of a slip: a senseless but possible action.
        format_error_rate: Probability, per turn, of a reply without an action.
        forgetfulness: Probability, per episode without a plan, of forgetting a part of the task
            that comes after its beginning: a treatment, the lamp, a second object, the last deed.
        patience: How many places it looks at in a search of its own.
        skip_rate: Probability, per step of a plan, own or given, of overlooking it.
    """

    error_rate: float = Field(default=0.05, ge=0.0, le=1.0)
    format_error_rate: float = Field(default=0.01, ge=0.0, le=1.0)
    forgetfulness: float = Field(default=0.4, ge=0.0, le=1.0)
    patience: int = Field(default=6, ge=0)
    skip_rate: float = Field(default=0.03, ge=0.0, le=1.0)


@dataclass(frozen=True, slots=True)
class Move:
    """What to do next, and why, in words."""

    action: str
    thought: str


Moves = Iterator[Move]


class Player(Protocol):
    """The follower in one episode of one world."""

    def moves(self) -> Moves:
        """The moves of an episode, without end.

        The generator yields the move that it wants to make, and is resumed after `observe` has
        taken in what really happened (a slip may have come between).
        """

    def observe(self, action: str, observation: str) -> None:
        """Takes in one turn; the action is empty after a format error."""

    def slip(self, chance: random.Random) -> Move:
        """Something possible that does not help."""

    def chance(self, turn: int) -> random.Random:
        """What is random at a turn of this episode."""


def chance(scene: tuple[Any, ...], seed: int, turn: int) -> random.Random:
    """What is random at a turn; −1 stands for the episode as a whole.

    Args:
        scene: What tells one task from another; JSON-serialisable.
        seed: The episode's.
        turn: Number of turns so far.
    """
    return random.Random(seed_from(*scene, seed, turn))  # noqa: S311
