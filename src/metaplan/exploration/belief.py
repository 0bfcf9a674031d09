"""What is believed about the quality of plans that were played unequally often.

Tasks come in kinds: in one, nearly every plan works; in another, plans either work or fail; in a
third, all are as good as each other. A kind is a distribution of `Q(p)` over a task's plans, and
how common each kind is gets learned from the rewards of all tasks together (empirical Bayes:
Robbins 1956; the weights of a fixed set of distributions, by expectation maximisation: Laird 1978).
What is believed of a plan follows from its own rewards and from the kinds that its task may be of.

Rewards between 0 and 1 vary less than successes and failures of the same mean, so each counts as
more than one such trial: by the ratio of the variances (quasi-likelihood: Wedderburn 1974).

Beliefs condition on the rewards alone: they stay valid however the next episode is chosen and
whenever playing stops.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.special import betainc

__all__ = ["QUALITIES", "SMALLEST_GAP", "Array", "Belief", "Evidence", "Played", "believe"]

Array = NDArray[np.float64]
Played = tuple[int, float, float]
"""What was earned with a plan: count of episodes, sum and sum of squares of their rewards."""

_EDGES = np.linspace(0.0, 1.0, 41)
QUALITIES: Array = (_EDGES[1:] + _EDGES[:-1]) / 2
"""The values of `Q(p)` that are told apart."""

SMALLEST_GAP = 0.03
"""Between plans that were played unequally often: less is hardly a difference."""

_FITTING_STEPS = 60
_SMOOTHING_TASKS = 3.0  # spread over all kinds: a few tasks don't rule one out
_MOST_TRIALS = 100.0  # of an episode: rewards that never vary are certain soon enough
_PLANS_OF_DOUBT = 20.0  # with repeated episodes, until a small spread of rewards is believed


def _shares(weights: Array) -> Array:
    shares: Array = weights / weights.sum(-1, keepdims=True)
    return shares


def _kinds() -> Iterator[Array]:
    """Beta distributions from "all alike" to "either works or fails", and two levels of quality."""
    for mean in (0.02, 0.1, 0.25, 0.4, 0.5, 0.6, 0.75, 0.9, 0.98):
        for strength in (0.5, 2.0, 8.0, 40.0, 200.0):
            yield _beta(mean, strength)
    for low, high in combinations((0.02, 0.2, 0.4, 0.6, 0.8, 0.95), 2):
        for share in (0.3, 0.6):
            yield share * _beta(high, 60.0) + (1.0 - share) * _beta(low, 60.0)


def _beta(mean: float, strength: float) -> Array:
    chances: Array = np.diff(betainc(mean * strength, (1.0 - mean) * strength, _EDGES))
    return _shares(chances + 1e-6)


_KINDS = np.array(list(_kinds()))


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
    """About the `Q(p)` of each plan.

    Attributes:
        chances: Of each of `QUALITIES`: tasks × plans × qualities.
        trials: How many successes and failures an episode is worth; 1 where rewards are 0 or 1.
    """

    chances: Array
    trials: float

    @property
    def mean(self) -> Array:
        """Expected `Q(p)`: tasks × plans, in (0, 1)."""
        expected: Array = self.chances @ QUALITIES
        return expected


def believe(evidence: Evidence) -> Belief:
    """Fits how common the kinds of tasks are, and says what follows for each plan."""
    trials = _trials_per_episode(evidence)
    good = trials * evidence.total[..., None]
    bad = trials * evidence.count[..., None] - good
    fit = good * np.log(QUALITIES) + bad * np.log1p(-QUALITIES)
    fit = np.where(evidence.there[..., None], fit, 0.0)
    fit = np.exp(fit - fit.max(-1, keepdims=True))
    by_kind = fit @ _KINDS.T
    kinds = _kinds_of_tasks(np.log(by_kind).sum(1))
    chances = fit * ((kinds[:, None, :] / by_kind) @ _KINDS)
    return Belief(chances=_shares(chances), trials=trials)


def _trials_per_episode(evidence: Evidence) -> float:
    """How much less rewards vary around their plans' means than successes and failures would."""
    repeated = evidence.count > 1
    count, total = evidence.count[repeated], evidence.total[repeated]
    spread = float((evidence.squares[repeated] - total**2 / count).sum())
    binary = float((total - total**2 / count).sum())
    prior = _PLANS_OF_DOUBT * 0.25
    return min(max((binary + prior) / (max(spread, 0.0) + prior), 1.0), _MOST_TRIALS)


def _kinds_of_tasks(fit: Array) -> Array:
    """The probability of each kind for each task, from its logarithmic likelihood there."""
    likelihood = np.exp(fit - fit.max(1, keepdims=True))
    common = np.full(len(_KINDS), 1.0 / len(_KINDS))
    for _ in range(_FITTING_STEPS):
        expected = _shares(likelihood * common).sum(0) + _SMOOTHING_TASKS / len(_KINDS)
        common = expected / expected.sum()
    return _shares(likelihood * common)
