"""What an episode says: the measures, and an arm's numbers by task."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from statistics import fmean

from claims.designs import Measure
from metaplan.core import Episode

__all__ = ["MEASURES", "Outcome", "Played", "outcome"]

_SHORT = 20


def _success_within(episode: Episode, steps: int) -> float:
    """An episode ends when its task is solved, so a later success took more steps."""
    return float(episode.success and episode.steps <= steps)


def _reward_per_step_within(episode: Episode, steps: int) -> float:
    """As if the episode had been cut off: reward so far, over the steps so far."""
    turns = episode.turns[:steps]
    return turns[-1].reward / len(turns) if turns else 0.0


MEASURES: Mapping[Measure, Callable[[Episode], float]] = {
    Measure.SUCCESS: lambda episode: float(episode.success),
    # Section 5.3: final reward over steps for each task.
    Measure.REWARD_PER_STEP: lambda episode: episode.reward / max(episode.steps, 1),
    Measure.SUCCESS_20: lambda episode: _success_within(episode, _SHORT),
    Measure.REWARD_PER_STEP_20: lambda episode: _reward_per_step_within(episode, _SHORT),
}


@dataclass(frozen=True)
class Played:
    """What is kept of a finished episode: thousands of them, without their turns."""

    task_key: str
    stop_reason: str
    measured: Mapping[Measure, float]

    @classmethod
    def of(cls, episode: Episode) -> Played:
        """Measures an episode."""
        measured = {measure: of(episode) for measure, of in MEASURES.items()}
        return cls(episode.task_key, episode.stop_reason.value, measured)


@dataclass(frozen=True)
class Outcome:
    """What became of an arm's episodes.

    Attributes:
        scores: By measure and task; a task whose episodes all came to nothing is missing.
        planned: Tasks of the arm.
        stopped: How many episodes ended for which reason.
    """

    scores: Mapping[Measure, Mapping[str, float]]
    planned: int
    stopped: Mapping[str, int]

    @property
    def measured(self) -> int:
        """Tasks with an episode that counts."""
        return len(self.scores[Measure.SUCCESS])


def outcome(episodes: Iterable[Played], planned: int) -> Outcome:
    """Sums up the finished episodes of an arm."""
    by_task: dict[str, list[Played]] = {}
    for episode in episodes:
        by_task.setdefault(episode.task_key, []).append(episode)
    return Outcome(
        scores={
            measure: {
                key: fmean(episode.measured[measure] for episode in found)
                for key, found in sorted(by_task.items())
            }
            for measure in MEASURES
        },
        planned=planned,
        stopped=Counter(e.stop_reason for found in by_task.values() for e in found),
    )
