"""Every official evaluation game is solved, in both grammars, by the newer file's walkthrough."""

import pytest

from metaplan.environments import get_benchmark
from metaplan.environments.alfworld import STEP_LIMIT

BENCHMARK = get_benchmark("alfworld")


@pytest.mark.data
@pytest.mark.parametrize("grammar", ["put", "move"])
@pytest.mark.parametrize("split", ["valid_seen", "valid_unseen"])
def test_every_evaluation_game_is_solved_by_its_walkthrough(alfworld_data, split, grammar):
    for task in BENCHMARK.tasks(f"{split}@{grammar}"):
        trajectory = BENCHMARK.expert(task)
        assert (trajectory.reward, trajectory.success) == (1.0, True), task.key
        assert trajectory.source == "walkthrough"
        assert len(trajectory.steps) <= STEP_LIMIT
