"""What is believed about the quality of plans that were played unequally often.

Tasks come in kinds: in one, nearly every plan works; in another, plans either work or fail; in a
third, all are as good as each other. A kind is a Beta distribution of `Q(p)` over a task's plans,
and how common each kind is gets learned from the rewards of all tasks together (empirical Bayes:
Robbins 1956; a fixed grid of kinds whose weights are fitted by expectation maximisation: Laird
1978). A plan's belief is then the mixture of Beta posteriors over the kinds that its task may be
of. Rewards between 0 and 1 vary less than successes and failures of the same mean, so each counts
as more than one such trial: by the ratio of the variances (quasi-likelihood: Wedderburn 1974).

Such beliefs stay valid however the next episode is chosen and whenever playing stops, for they
condition on the rewards alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaln

__all__ = ["Array", "Belief", "Evidence", "Played", "believe"]

Array = NDArray[np.float64]

_MEANS, _STRENGTHS = np.meshgrid(
    (0.02, 0.1, 0.25, 0.4, 0.5, 0.6, 0.75, 0.9, 0.98), (0.5, 2.0, 8.0, 40.0, 200.0)
)
_ALPHA = (_MEANS * _STRENGTHS).ravel()
_BETA = ((1.0 - _MEANS) * _STRENGTHS).ravel()
_FITTING_STEPS = 60
_SMOOTHING_TASKS = 10.0  # spread over all kinds: a few tasks don't rule one out
_FEWEST_VARIANCES = 20.0  # of plans, before a small spread of rewards is believed


Played = tuple[int, float, float]
"""What was earned with a plan: count of episodes, sum and sum of squares of their rewards."""


@dataclass(frozen=True)
class Evidence:
    """Rewards so far; all arrays are tasks × plans, padded where a task has fewer plans.

    Attributes:
        there: Whether there is a plan in this place.
        count: Its episodes.
        total: Sum of their rewards, each in [0, 1].
        squares: Sum of the squared rewards.
    """

    there: NDArray[np.bool_]
    count: Array
    total: Array
    squares: Array

    @classmethod
    def of(cls, tasks: Sequence[Sequence[Played | None]]) -> Evidence:
        """From what was earned with each plan of each task; None for a plan that is out."""
        width = max(map(len, tasks), default=0)
        there = np.zeros((len(tasks), width), dtype=bool)
        sums = np.zeros((3, len(tasks), width))
        for row, plans in enumerate(tasks):
            for column, played in enumerate(plans):
                if played is not None:
                    there[row, column] = True
                    sums[:, row, column] = played
        return cls(there, *sums)


@dataclass(frozen=True)
class Belief:
    """About each plan's `Q(p)`: a Beta distribution of this mean and strength; tasks × plans.

    Attributes:
        mean: In (0, 1).
        strength: How many successes and failures the belief is worth: `α + β`.
        trials: How many of these a further episode is worth; 1 where rewards are 0 or 1.
    """

    mean: Array
    strength: Array
    trials: float


def believe(evidence: Evidence) -> Belief:
    """Fits how common the kinds of tasks are, and says what follows for each plan."""
    trials = _trials_per_episode(evidence)
    good = trials * evidence.total
    bad = trials * evidence.count - good
    kinds = _kinds_of_tasks(good, bad, evidence.there)[:, None, :]
    alpha, beta = _ALPHA + good[..., None], _BETA + bad[..., None]
    size = alpha + beta
    means = alpha / size
    mean = (kinds * means).sum(-1)
    second = (kinds * (means * (1.0 - means) / (size + 1.0) + means**2)).sum(-1)
    strength = np.maximum(mean * (1.0 - mean) / (second - mean**2) - 1.0, 1e-6)
    return Belief(mean=mean, strength=strength, trials=trials)


def _trials_per_episode(evidence: Evidence) -> float:
    """How much less rewards vary around their plans' means than successes and failures would."""
    repeated = evidence.count > 1
    count, total = evidence.count[repeated], evidence.total[repeated]
    spread = float((evidence.squares[repeated] - total**2 / count).sum())
    binary = float((total - total**2 / count).sum())
    prior = _FEWEST_VARIANCES * 0.25
    return max((binary + prior) / (max(spread, 0.0) + prior), 1.0)


def _kinds_of_tasks(good: Array, bad: Array, there: NDArray[np.bool_]) -> Array:
    """The probability of each kind for each task: tasks × kinds."""
    plans = betaln(_ALPHA + good[..., None], _BETA + bad[..., None]) - betaln(_ALPHA, _BETA)
    tasks = np.where(there[..., None], plans, 0.0).sum(1)
    likelihood = np.exp(tasks - tasks.max(1, keepdims=True))
    common = np.full(len(_ALPHA), 1.0 / len(_ALPHA))
    for _ in range(_FITTING_STEPS):
        expected = _shares(likelihood * common).sum(0) + _SMOOTHING_TASKS / len(_ALPHA)
        common = expected / expected.sum()
    return _shares(likelihood * common)


def _shares(weights: Array) -> Array:
    shares: Array = weights / weights.sum(1, keepdims=True)
    return shares
