"""The simulator's own expert, played through our environment and kept."""

import pytest

from metaplan.environments.scienceworld import experts
from metaplan.environments.scienceworld.experts import as_prompted


@pytest.mark.parametrize(
    "name",
    [
        "find-living-thing",
        "chemistry-mix-paint-secondary-color",
        "power-component",
        "test-conductivity",
        "lifespan-longest-lived",
        "use-thermometer",
        "grow-plant",
    ],
)
def test_gold_paths_solve_their_tasks_with_actions_of_the_prompt(benchmark, task, name):
    trajectory = benchmark.expert(task(name, 3))
    assert trajectory.success
    assert trajectory.reward == 1.0
    assert trajectory.source == "gold"
    assert trajectory.task.instruction.startswith("Your task is")
    beginnings = tuple(template.partition("{")[0] for template in benchmark.action_templates)
    assert all(step.action.startswith((*beginnings, "0", "1")) for step in trajectory.steps)


def test_a_trajectory_is_kept_for_every_task_set_and_process(benchmark, task, monkeypatch):
    first = benchmark.expert(task("find-plant"))
    monkeypatch.setattr(experts, "demonstrate", lambda task: pytest.fail("played again"))
    assert benchmark.expert(task("find-plant")) == first
    other = benchmark.expert(task("find-plant", task_set="train@paper"))
    assert other.task.task_set == "train@paper"
    assert other.steps == first.steps


def test_a_damaged_trajectory_is_played_again(benchmark, task):
    first = benchmark.expert(task("find-plant"))
    kept = experts._cached("find-plant", 0)
    kept.write_text(kept.read_text("utf-8")[:100], "utf-8")
    assert benchmark.expert(task("find-plant")).success == first.success
    assert kept.read_text("utf-8").endswith("}")


def test_deeds_are_respelt_in_actions_of_the_prompt():
    walk = [
        "drop thermometer",
        "open door to hallway",
        "go to hallway",
        "open door to kitchen",
        "go to kitchen",
        "look around",
        "open cupboard",
        "drop apple",
        "go to hallway",
    ]
    assert as_prompted(walk) == [
        "drop thermometer",  # it does not say in which room
        "teleport to kitchen",
        "look around",
        "open cupboard",
        "move apple to kitchen",
        "teleport to hallway",
    ]
