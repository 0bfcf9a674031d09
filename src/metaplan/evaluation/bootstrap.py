"""95% percentile bootstrap over tasks, for many ratios of means at once.

Every statistic here is ``mean(numerators) / mean(denominators)`` over tasks; a plain mean has
denominators of one. The draws depend on the seed and the number of tasks alone, so that a number
is the same in every report and whatever else is evaluated beside it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = ["RESAMPLES", "Interval", "bootstrap"]

RESAMPLES = 10_000
_TAILS = (2.5, 97.5)
_BLOCK_CELLS = 2_000_000  # resamples times tasks held in memory at a time: 16 MB

_Floats: TypeAlias = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Interval:
    """A statistic and its 95% interval; ``low <= value <= high``."""

    value: float
    low: float
    high: float


def _ratio(numerator: _Floats, denominator: _Floats) -> _Floats:
    """Their quotient, and 0 where nothing was counted (no steps, hence no share of steps)."""
    return np.divide(numerator, denominator, out=np.zeros_like(numerator), where=denominator != 0.0)


def _resampled(numerators: _Floats, denominators: _Floats, resamples: int, seed: int) -> _Floats:
    """The statistics of all resamples, shape ``(statistics, resamples)``."""
    tasks = numerators.shape[1]
    generator = np.random.default_rng((seed, tasks))
    blocks = []
    for start in range(0, resamples, max(1, _BLOCK_CELLS // tasks)):
        size = min(resamples - start, max(1, _BLOCK_CELLS // tasks))
        drawn = generator.integers(tasks, size=(size, tasks)) + tasks * np.arange(size)[:, None]
        # How often each resample holds each task: resampling is then a matrix product.
        weights = np.bincount(drawn.ravel(), minlength=size * tasks).reshape(size, tasks)
        weights_t = weights.T.astype(np.float64)
        blocks.append(_ratio(numerators @ weights_t, denominators @ weights_t))
    return np.concatenate(blocks, axis=1)


def bootstrap(
    numerators: npt.ArrayLike,
    denominators: npt.ArrayLike | None = None,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> list[Interval]:
    """Bootstraps ratios of means over tasks; all statistics see the same resamples.

    Args:
        numerators: Shape ``(statistics, tasks)``, at least one task.
        denominators: The same shape; None for plain means.
        resamples: How many times the tasks are drawn with replacement.
        seed: Of the draws.

    Returns:
        One interval per statistic. It has no width where resampling changes nothing: for a
        single task, or when all tasks are equal.

    Raises:
        ValueError: The shapes don't fit, or there is no task.
    """
    top = np.asarray(numerators, dtype=np.float64)
    bottom = np.ones_like(top) if denominators is None else np.asarray(denominators, np.float64)
    if top.ndim != 2 or top.shape != bottom.shape or top.shape[1] == 0:
        raise ValueError(f"need two (statistics, tasks) arrays, got {top.shape}, {bottom.shape}")
    values = _ratio(top.mean(axis=1), bottom.mean(axis=1))
    lows, highs = np.percentile(_resampled(top, bottom, resamples, seed), _TAILS, axis=1)
    constant = np.all(top == top[:, :1], axis=1) & np.all(bottom == bottom[:, :1], axis=1)
    return [
        # Rounding must neither give equal tasks a width nor push the value out of its interval.
        Interval(value, value, value)
        if same
        else Interval(value, min(low, value), max(high, value))
        for value, low, high, same in zip(
            values.tolist(), lows.tolist(), highs.tolist(), constant.tolist(), strict=True
        )
    ]
