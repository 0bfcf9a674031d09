"""Which episodes to play next: those that are expected to make preference pairs better.

Uniform exploration plays N episodes with each plan (paper, 4.1). The adaptive one plays each plan
once and then, round by round, the plans whose next episodes are worth most. Their worth is how
much they are expected to widen the gap between the plans that would be chosen and rejected, by
what is believed about the task's plans (`metaplan.exploration.belief`): the *knowledge gradient*
(Frazier, Powell and Dayanik 2008), for both ends at once, over the number of episodes for which it
is largest per episode (Frazier and Powell 2010: one episode alone often can't change the order).
So plans that can be neither best nor worst any more, tasks that are decided, and tasks whose plans
tie cost nothing further.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import binom

from metaplan.core import digest
from metaplan.exploration.belief import (
    QUALITIES,
    SMALLEST_GAP,
    Array,
    Belief,
    Evidence,
    Played,
    believe,
)

__all__ = ["Adaptive", "Planned", "Rewards", "Round", "Uniform"]

Planned = tuple[str, str, int]
"""An episode: task key, plan key, repetition."""
Rewards = Mapping[tuple[str, str], Sequence[float | None]]
"""By task and plan, in the order of repetitions; None for an episode that came to nothing."""

_GROWTH = 0.1  # a round's share of the episodes before it
_LOOKAHEAD = (1, 2, 4)
_LEAST_WORTH = 2e-3  # expected widening of a gap, for an episode to be played


@dataclass(frozen=True)
class Round:
    """What to play next, and how far things are.

    Attributes:
        episodes: Empty when the exploration has ended.
        decided: Tasks in which no further episode is worth its cost, and that have a pair.
        tied: As `decided`, without a pair.
        open: The others.
    """

    episodes: tuple[Planned, ...]
    decided: int
    tied: int
    open: int


@dataclass(frozen=True)
class Uniform:
    """N episodes with each plan, in one round.

    Attributes:
        plans: Keys of each task's distinct plans, by task key.
        episodes_per_plan: N.
    """

    plans: Mapping[str, Sequence[str]]
    episodes_per_plan: int

    def next_round(self, rewards: Rewards) -> Round:
        """Everything, while nothing was played."""
        episodes = tuple(
            (task, plan, repetition)
            for task, plans in self.plans.items()
            for plan in plans
            if (task, plan) not in rewards
            for repetition in range(self.episodes_per_plan)
        )
        return Round(episodes, decided=0, tied=0, open=len(self.plans))


@dataclass(frozen=True)
class Adaptive:
    """Episodes where they decide, under one budget for all tasks.

    What comes next depends on the rewards so far alone, and a larger budget begins with the rounds
    of a smaller one.

    Attributes:
        plans: Keys of each task's distinct plans, by task key.
        budget: Most episodes over all tasks.
    """

    plans: Mapping[str, Sequence[str]]
    budget: int

    def next_round(self, rewards: Rewards) -> Round:
        """What is worth playing next: with one plan of each task at most, the worthiest first.

        Args:
            rewards: Of all episodes of the rounds before.
        """
        # In an order of no meaning: where a round or the budget ends, it favours no task type.
        tasks = sorted(self.plans, key=digest)
        played = sum(map(len, rewards.values()))
        if not played:
            first = [(task, plan, 0) for task in tasks for plan in self.plans[task]]
            return Round(tuple(first[: self.budget]), decided=0, tied=0, open=len(tasks))
        evidence = Evidence.of(
            [[_earned(rewards.get((key, plan), ())) for plan in self.plans[key]] for key in tasks]
        )
        belief = believe(evidence)
        worth, episodes = _worth(belief, evidence.there)
        highest = worth.max(1, initial=0.0)
        is_open = highest >= _LEAST_WORTH
        is_tied = ~is_open & (_gap(belief, evidence.there) <= SMALLEST_GAP)
        chosen: list[Planned] = []
        for row in np.argsort(-highest, kind="stable")[: is_open.sum()]:
            column = int(worth[row].argmax())
            task, plan = tasks[row], self.plans[tasks[row]][column]
            there = len(rewards.get((task, plan), ()))
            chosen += [(task, plan, there + more) for more in range(episodes[row, column])]
        size = min(math.ceil(played * _GROWTH), self.budget - played)
        return Round(
            episodes=tuple(chosen[: max(size, 0)]),
            decided=int((~is_open & ~is_tied).sum()),
            tied=int(is_tied.sum()),
            open=int(is_open.sum()),
        )


def _earned(rewards: Sequence[float | None]) -> Played | None:
    """None for a plan that lacks an episode: it will be in no pair."""
    found = [reward for reward in rewards if reward is not None]
    if len(found) < len(rewards):
        return None
    return len(found), math.fsum(found), math.fsum(reward**2 for reward in found)


def _worth(belief: Belief, there: NDArray[np.bool_]) -> tuple[Array, NDArray[np.int_]]:
    """Expected widening of the gap per episode, and with how many episodes it is reached."""
    mean = belief.mean
    high, low = _best_and_worst_of_the_others(mean, there)
    gap = np.maximum(mean, high) - np.minimum(mean, low)
    worth = np.zeros_like(gap)
    episodes = np.ones(gap.shape, dtype=int)
    for count in _LOOKAHEAD:
        chances, means = _after(belief, max(round(count * belief.trials), 1))
        wide = np.maximum(means, high[..., None]) - np.minimum(means, low[..., None])
        each = ((chances * wide).sum(-1) - gap) / count
        better = each > worth
        worth[better], episodes[better] = each[better], count
    several = there.sum(1, keepdims=True) > 1
    # Rounded: equal situations are worth the same on every machine.
    return np.where(there & several, worth, 0.0).round(9), episodes


def _after(belief: Belief, trials: int) -> tuple[Array, Array]:
    """Chances of 0, 1, … successes in further trials, and the means that they would lead to."""
    good = np.arange(trials + 1)
    quality = QUALITIES[:, None]
    ways = binom(trials, good) * quality**good * (1.0 - quality) ** (trials - good)
    chances = belief.chances @ ways
    return chances, (belief.chances @ (quality * ways)) / np.maximum(chances, 1e-300)


def _best_and_worst_of_the_others(mean: Array, there: NDArray[np.bool_]) -> tuple[Array, Array]:
    """For each plan, the highest and lowest mean among the other plans of its task."""
    return _highest_other(mean, there), 1.0 - _highest_other(1.0 - mean, there)


def _highest_other(mean: Array, there: NDArray[np.bool_]) -> Array:
    known = np.where(there, mean, 0.0)
    padded = np.concatenate([known, np.zeros((len(known), 2))], axis=1)
    highest, second = -np.sort(-padded, axis=1)[:, :2].T
    is_highest = np.arange(known.shape[1]) == known.argmax(1)[:, None]
    other: Array = np.where(is_highest, second[:, None], highest[:, None])
    return other


def _gap(belief: Belief, there: NDArray[np.bool_]) -> Array:
    best = np.where(there, belief.mean, 0.0).max(1, initial=0.0)
    worst = np.where(there, belief.mean, 1.0).min(1, initial=1.0)
    gap: Array = best - worst
    return gap
