"""Episodes in the real simulator: reward, success, failure, odd actions."""

import pytest

from metaplan.core import EnvironmentFault
from metaplan.environments import check_environment


@pytest.fixture
def start(benchmark, task):
    """Begins an episode of a task."""
    opened = []

    def begin(name, variation=0):
        environment = benchmark.load(task(name, variation)).make()
        opened.append(environment)
        return environment, environment.reset()

    yield begin
    for environment in opened:
        environment.close()


def test_the_benchmark_keeps_the_contract(benchmark):
    assert check_environment(benchmark) == ()


def test_the_agent_first_reads_the_task_and_then_the_room(start):
    _, seen = start("boil")
    task, _, room = seen.text.partition("\n\n")
    assert task.startswith("Your task is to boil water.")
    assert room.startswith("This room is called the hallway. In it, you see:")


def test_containers_are_open_and_rooms_one_step_away_as_the_prompt_promises(start):
    environment, _ = start("boil")
    assert environment.step("teleport to kitchen").observation == "You teleport to the kitchen."
    kitchen = environment.step("look around").observation
    assert "The fridge door is open. In the fridge is:" in kitchen
    assert "door is closed" not in kitchen


@pytest.mark.parametrize(
    ("name", "works"),
    [("boil", False), ("power-component", True), ("test-conductivity", True)],
)
def test_electrical_tasks_keep_the_electrical_actions(start, name, works):
    environment, _ = start(name)
    assert ("connect OBJ to OBJ" in environment.step("help").observation) == works


@pytest.mark.parametrize(
    "action",
    [
        "open fridge",
        "close fridge",
        "activate stove",
        "deactivate stove",
        "use thermometer on apple",
        "look around",
        "examine thermometer",
        "look at table",
        "move thermometer to table",
        "pick up thermometer",
        "pour cup containing orange juice into sink",
        "mix jar",
        "teleport to hallway",
        "focus on thermometer",
        "wait",
        "wait1",
        "Look Around",
        "LOOK AT TABLE",
        "  look around \n",
    ],
)
def test_the_actions_of_figure_10_are_understood(start, action):
    environment, _ = start("boil")
    environment.step("teleport to kitchen")
    assert environment.step(action).valid


@pytest.mark.parametrize("action", ["", "  ", "dance", "take a break", "\ud83d", "0"])
def test_what_the_simulator_does_not_know_is_invalid_and_changes_nothing(start, action):
    environment, _ = start("boil")
    before = environment.step("look around").observation
    result = environment.step(action)
    assert not result.valid
    assert (result.terminated, result.reward) == (False, 0.0)
    assert environment.step("look around").observation == before


def test_a_number_answers_an_ambiguous_request(start):
    environment, _ = start("chemistry-mix-paint-secondary-color")
    environment.step("teleport to art studio")
    asked = environment.step("pick up cup")
    assert asked.observation.startswith("Ambiguous request: Please enter the number")
    assert asked.valid
    assert environment.step("0").observation.startswith("You move the ")
    environment.step("pick up cup")
    assert not environment.step("").valid  # cancels
    assert environment.step("look around").observation.startswith("This room is called")


def test_focus_on_a_wrong_thing_ends_the_episode_as_failed(start):
    environment, _ = start("find-animal")
    before = environment.step("teleport to kitchen")
    result = environment.step("focus on stove")
    assert result.terminated
    assert not result.success
    assert result.reward == before.reward
    assert result.info["score"] == -1.0


def test_the_reward_is_the_best_score_so_far_even_after_a_fatal_mistake(start, benchmark, task):
    expert = benchmark.expert(task("chemistry-mix-paint-secondary-color"))
    environment, _ = start("chemistry-mix-paint-secondary-color")
    rewards = [environment.step(step.action).reward for step in expert.steps[:-1]]
    assert rewards == sorted(rewards)
    assert 0.0 < rewards[-1] < 1.0
    failed = environment.step("focus on table")
    assert failed.terminated
    assert not failed.success
    assert failed.reward == rewards[-1]
    assert failed.info["score"] == -1.0


def test_a_solved_task_ends_with_reward_1_and_success(start, benchmark, task):
    expert = benchmark.expert(task("find-non-living-thing"))
    environment, _ = start("find-non-living-thing")
    results = [environment.step(step.action) for step in expert.steps]
    assert [result.success for result in results] == [False] * (len(results) - 1) + [True]
    assert results[-1].terminated
    assert results[-1].reward == 1.0


def test_an_episode_is_begun_once_and_not_played_after_its_end(start):
    environment, _ = start("boil")
    with pytest.raises(EnvironmentFault, match="running, not new"):
        environment.reset()
    environment.close()
    environment.close()
    with pytest.raises(EnvironmentFault, match="closed, not running"):
        environment.step("look around")
