import json
import tarfile
import zipfile

import pytest

from metaplan.core import DataError
from metaplan.environments import get_benchmark
from metaplan.environments.alfworld import TASK_TYPES
from metaplan.environments.alfworld.games import GAMES_IN_SPLIT
from metaplan.environments.check import check_environment

BENCHMARK = get_benchmark("alfworld")
TRIALS = ("pick_and_place_simple-Pencil-None-Drawer-1/trial_2", "look_at_obj_in_light-A-None-B-3/t")


@pytest.fixture
def data(tmp_path, monkeypatch):
    """An empty data directory and an empty cache."""
    monkeypatch.setenv("METAPLAN_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("ALFWORLD_DATA", str(tmp_path / "official"))
    return tmp_path / "data"


def write_split(root, game, trials=TRIALS):
    for trial in trials:
        (root / trial).mkdir(parents=True)
        (root / trial / "game.tw-pddl").write_text(json.dumps(game))


def grammar_in(game):
    return "put" if '"put {o} in/on {r}"' in game["grammar"] else "move"


def test_tasks_are_listed_by_key_with_type_and_source(data, tiny_game):
    write_split(data / "alfworld" / "json_2.1.1" / "valid_seen", tiny_game)
    tasks = BENCHMARK.tasks("valid_seen")
    assert [task.key for task in tasks] == sorted(f"alfworld/valid_seen/{name}" for name in TRIALS)
    assert [task.task_type for task in tasks] == ["look_at_obj_in_light", "pick_and_place_simple"]
    assert {task.source["grammar"] for task in tasks} == {grammar_in(tiny_game)}


def test_the_grammar_inside_the_games_counts_not_the_directory(data, tiny_game):
    write_split(data / "json_2.1.1" / "train", tiny_game)
    grammar = grammar_in(tiny_game)
    other = "move" if grammar == "put" else "put"
    assert len(BENCHMARK.tasks(f"train@{grammar}")) == 2
    assert BENCHMARK.fingerprint("train")["grammar"] == grammar
    with pytest.raises(DataError, match=f"no ALFWorld games of 'train' with the '{other}' grammar"):
        BENCHMARK.tasks(f"train@{other}")


def test_grammars_share_keys_but_not_fingerprints(data, tiny_game_in):
    write_split(data / "json_2.1.1" / "train", tiny_game_in("put"))
    write_split(data / "json_2.1.3" / "train", tiny_game_in("move"))
    put, move = BENCHMARK.tasks("train@put"), BENCHMARK.tasks("train@move")
    assert [task.key for task in put] == [task.key for task in move]
    assert BENCHMARK.fingerprint("train@put") != BENCHMARK.fingerprint("train@move")
    assert BENCHMARK.fingerprint("train") == BENCHMARK.fingerprint("train@move")


def test_unsolvable_and_unsupported_games_are_left_out(data, tiny_game):
    root = data / "json_2.1.1" / "train"
    write_split(root, tiny_game)
    write_split(root, {**tiny_game, "solvable": False}, ["pick_and_place_simple-X-None-Y-1/t"])
    write_split(root, tiny_game, ["pick_and_place_with_movable_recep-X-None-Y-1/t"])
    write_split(root, tiny_game, ["pick_and_place_simple-AppleSliced-None-Y-1/t"])
    assert len(BENCHMARK.tasks("train")) == 2


@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_archives_are_unpacked_once_into_the_cache(data, tmp_path, kind, tiny_game_in):
    write_split(tmp_path / "raw" / "json_2.1.1" / "valid_unseen", tiny_game_in("move"))
    (data / "alfworld").mkdir(parents=True)
    if kind == "tar":
        archive = data / "alfworld" / "alfworld_v042.tar.xz"
        with tarfile.open(archive, "w:xz") as file:
            file.add(tmp_path / "raw", ".")
    else:
        archive = data / "alfworld" / "json_2.1.3_tw-pddl.zip"
        with zipfile.ZipFile(archive, "w") as file:
            for path in (tmp_path / "raw").rglob("game.tw-pddl"):
                file.write(path, path.relative_to(tmp_path / "raw"))
    tasks = BENCHMARK.tasks("valid_unseen@move")
    assert len(tasks) == 2
    assert not list(data.rglob("game.tw-pddl"))
    assert BENCHMARK.load(tasks[0]).make().reset().text.startswith("You are in the middle")


def test_no_data_says_which_file_to_put_where(data):
    with pytest.raises(DataError) as caught:
        BENCHMARK.tasks("train")
    assert "metaplan data fetch alfworld" in str(caught.value)
    assert "alfworld/json_2.1.3_tw-pddl.zip" in str(caught.value)
    assert str(data) in str(caught.value)


def test_an_unknown_task_set_is_refused_with_the_known_ones(data):
    with pytest.raises(DataError, match=r"'test'.*valid_seen@put"):
        BENCHMARK.tasks("test")


def test_a_damaged_game_is_named(data, tiny_game):
    write_split(data / "json_2.1.1" / "train", tiny_game)
    task = BENCHMARK.tasks("train")[0]
    path = data / "json_2.1.1" / "train" / task.source["game"] / "game.tw-pddl"
    path.write_text("{")
    with pytest.raises(DataError, match=r"game\.tw-pddl"):
        BENCHMARK.load(task)


@pytest.mark.parametrize(
    "source",
    [
        {"split": "train", "grammar": "move", "game": "../elsewhere"},
        {"split": "train", "grammar": "move", "game": "/elsewhere"},
        {"split": "train", "grammar": "other", "game": TRIALS[0]},
        {},
    ],
)
def test_only_games_of_the_data_directory_are_loaded(data, tiny_game_in, source):
    write_split(data / "json_2.1.1" / "train", tiny_game_in("move"))
    task = BENCHMARK.tasks("train")[0].model_copy(update={"source": source})
    with pytest.raises(DataError, match=r"outside the data directory|not an ALFWorld task"):
        BENCHMARK.load(task)


def test_the_walkthrough_is_the_expert_in_the_games_own_spelling(data, tiny_game):
    write_split(data / "json_2.1.1" / "train", tiny_game)
    trajectory = BENCHMARK.expert(BENCHMARK.tasks("train")[0])
    assert (trajectory.source, trajectory.reward, trajectory.success) == ("walkthrough", 1.0, True)
    last = "put pencil 2 in/on drawer 1" if grammar_in(tiny_game) == "put" else None
    assert trajectory.steps[-1].action == (last or "move pencil 2 to drawer 1")
    assert trajectory.task.instruction.endswith("Your task is to: put some pencil in drawer.")


def test_a_recorded_expert_goes_before_the_walkthrough(data, tiny_game, tiny_solution):
    write_split(data / "json_2.1.1" / "train", tiny_game)
    task = BENCHMARK.tasks("train")[0]
    actions = ["go to drawer 1", "take nothing", *tiny_solution]
    turns = [{"from": "human", "value": "…"}]
    turns += [{"from": "gpt", "value": action} for action in actions]
    folder = data / "json_2.1.1" / "train" / task.source["game"]
    (folder / "gt_traj.json").write_text(json.dumps(turns))
    trajectory = BENCHMARK.expert(task)
    assert trajectory.source == "recorded"
    assert len(trajectory.steps) == len(tiny_solution) + 1
    assert "take nothing" not in [step.action for step in trajectory.steps]


def test_a_game_without_expert_says_so(data, tiny_game):
    del tiny_game["walkthrough"]
    write_split(data / "json_2.1.1" / "train", tiny_game)
    with pytest.raises(DataError, match="no expert"):
        BENCHMARK.expert(BENCHMARK.tasks("train")[0])


def test_the_benchmark_keeps_the_contract(data, tiny_game):
    write_split(data / "json_2.1.1" / "train", tiny_game)
    assert check_environment(BENCHMARK) == ()


def test_there_are_thirteen_types_of_action_and_thirty_steps(data, tiny_game):
    write_split(data / "json_2.1.1" / "train", tiny_game)
    assert len(BENCHMARK.action_templates) == 13
    assert BENCHMARK.step_limit(BENCHMARK.tasks("train")[0]) == 30


@pytest.mark.parametrize("task_type", TASK_TYPES)
def test_every_task_type_has_an_example_that_ends_with_the_task_solved(data, tiny_game, task_type):
    write_split(data / "json_2.1.1" / "train", tiny_game, [f"{task_type}-A-None-B-1/t"])
    example = BENCHMARK.example(BENCHMARK.tasks("train")[0])
    turns = example.split("\n\n")[1:]
    assert example.startswith("Task: You are in the middle of a room.")
    for turn in turns:
        labels = [line.split(":")[0] for line in turn.split("\n")]
        assert labels == ["Thought", "Action", "Observation"]
    final = "use desklamp" if task_type == "look_at_obj_in_light" else "put "
    assert f"Action: {final}" in turns[-1]


@pytest.mark.data
@pytest.mark.parametrize("task_set", ["valid_seen@put", "valid_unseen@put", "valid_seen@move"])
def test_the_official_games_are_all_there(alfworld_data, task_set):
    tasks = BENCHMARK.tasks(task_set)
    assert len(tasks) == GAMES_IN_SPLIT[task_set.split("@")[0]]
    assert {task.task_type for task in tasks} == set(TASK_TYPES)


@pytest.mark.data
def test_real_games_keep_the_contract(alfworld_data):
    for task_set in ("valid_seen@put", "valid_unseen@move"):
        task = BENCHMARK.tasks(task_set)[7]
        assert check_environment(BENCHMARK, task=task) == ()
