"""Measures of episodes: at the benchmark's limit and within 20 steps."""

import pytest
from claims.designs import Measure
from claims.outcomes import MEASURES, Played, outcome

from metaplan.core import Episode, StopReason, Turn


def episode(steps: int, *, solved: bool, key: str = "e", task: str = "t") -> Episode:
    rewards = [0.0] * (steps - 1) + [float(solved)]
    return Episode(
        key=key,
        task_key=task,
        environment="",
        plan_key=None,
        placement=None,
        agent="",
        repetition=0,
        turns=tuple(Turn(reply="", action="look", observation="", reward=r) for r in rewards),
        reward=float(solved),
        success=solved,
        stop_reason=StopReason.SOLVED if solved else StopReason.STEP_LIMIT,
    )


@pytest.mark.parametrize(
    ("steps", "solved", "success", "per_step"),
    [(20, True, 1.0, 1 / 20), (21, True, 0.0, 0.0), (4, True, 1.0, 1 / 4), (30, False, 0.0, 0.0)],
)
def test_within_20_steps_an_episode_counts_as_if_it_had_been_cut_off(
    steps, solved, success, per_step
):
    played = episode(steps, solved=solved)
    assert MEASURES[Measure.SUCCESS_20](played) == success
    assert MEASURES[Measure.REWARD_PER_STEP_20](played) == pytest.approx(per_step)


def test_reward_per_step_is_over_the_steps_of_the_whole_episode():
    assert MEASURES[Measure.REWARD_PER_STEP](episode(25, solved=True)) == pytest.approx(1 / 25)


def test_tasks_without_an_episode_are_missing_and_reasons_are_counted():
    episodes = [episode(3, solved=True), episode(30, solved=False, task="u")]
    found = outcome(map(Played.of, episodes), planned=3)
    assert (found.measured, found.planned) == (2, 3)
    assert found.scores[Measure.SUCCESS] == {"t": 1.0, "u": 0.0}
    assert found.stopped == {"solved": 1, "step_limit": 1}
