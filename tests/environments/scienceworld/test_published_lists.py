"""What the documentation says about the published lists."""

import pytest

from metaplan.environments import get_benchmark

pytestmark = pytest.mark.data


@pytest.fixture(scope="module")
def keys(published_lists):
    benchmark = get_benchmark("scienceworld")
    return {name: {task.key for task in benchmark.tasks(name)} for name in benchmark.task_sets}


def test_a_quarter_of_the_paper_s_seen_tasks_are_training_tasks(keys):
    assert len(keys["dev@paper"] & keys["train@paper"]) == 54
    assert not keys["test@paper"] & (keys["train@paper"] | keys["dev@paper"])


def test_evaluation_lists_lie_within_the_package_s_own_folds_and_training_does_not(keys):
    assert keys["dev@paper"] <= keys["dev"]
    assert keys["test@paper"] <= keys["test"]
    assert len(keys["train@paper"] & keys["dev"]) == 357
    assert not keys["train@paper"] & keys["test"]
