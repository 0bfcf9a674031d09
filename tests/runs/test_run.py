"""A run directory: refused, resumed, extended, interrupted, read while it is at work."""

import dataclasses
import json
import shutil
import signal
import sqlite3
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metaplan import load_recipe
from metaplan.collection import collect
from metaplan.core import ConfigError, RunError, Task, UserError
from metaplan.episodes import RunStore, SilentProgress
from metaplan.exploration import explore, sample
from metaplan.runs import (
    Interrupted,
    Run,
    choose_tasks,
    estimate_run,
    files,
    read_status,
    run,
    sample_plans,
)


def planned(config, directory) -> dict[str, tuple[int, int]]:
    return {
        s.name: (s.done, s.missing) for s in estimate_run(config, directory).stages if s.episodes
    }


def tasks(count: int) -> list[Task]:
    return [
        Task(key=f"t/{number}", benchmark="b", task_set="s", task_type="k")
        for number in range(count)
    ]


@given(st.permutations(range(12)), st.integers(1, 12), st.integers(1, 12), st.integers(0, 9))
def test_a_larger_choice_of_tasks_contains_a_smaller_one(order, one, other, seed):
    listed = tasks(12)
    small, large = sorted((one, other))
    chosen = choose_tasks(listed, small, seed)
    more = choose_tasks([listed[number] for number in order], large, seed)
    assert {task.key for task in chosen} <= {task.key for task in more}
    assert len(chosen) == small
    assert [task.key for task in chosen] == sorted(task.key for task in chosen)
    assert choose_tasks(listed, None, seed) == sorted(listed, key=lambda task: task.key)


def test_more_tasks_than_there_are_is_an_error():
    with pytest.raises(UserError, match="4 tasks are wanted, but the task set has 3"):
        choose_tasks(tasks(3), 4, 0)
    with pytest.raises(UserError, match="has 0"):
        choose_tasks([], None, 0)


def test_shaping_fields_can_not_change_and_are_named(run_copy: Path, tiny_recipe: Path):
    before = (run_copy / "config.yaml").read_bytes()
    changed = load_recipe(tiny_recipe, ["agent.placement=observation", "explore.temperature=0.5"])
    with pytest.raises(RunError) as error:
        Run(changed, run_copy)
    assert "agent.placement: 'instruction' → 'observation'" in str(error.value)
    assert "explore.temperature: 1.0 → 0.5" in str(error.value)
    with pytest.raises(RunError, match=r"explore\.episodes_per_plan: 2 → 1"):
        Run(load_recipe(tiny_recipe, ["explore.episodes_per_plan=1"]), run_copy)
    assert (run_copy / "config.yaml").read_bytes() == before
    Run(load_recipe(tiny_recipe, ["runtime.workers=2"]), run_copy).close()


def test_other_games_than_the_run_was_made_with_are_refused(run_copy: Path):
    versions = json.loads((run_copy / "versions.json").read_text())
    versions["benchmark"]["train"]["generator"] = "0"
    (run_copy / "versions.json").write_text(json.dumps(versions))
    with pytest.raises(RunError, match="other games of 'train' \\(generator 0 → "):
        Run(None, run_copy)


def test_a_run_can_be_closed_twice_and_is_free_then(run_copy: Path):
    first = Run(None, run_copy)
    with pytest.raises(RunError, match="another process"):
        Run(None, run_copy)
    first.close()
    first.close()
    Run(None, run_copy).close()


def test_an_empty_directory_needs_a_recipe(tmp_path: Path):
    with pytest.raises(RunError, match="name a recipe"):
        Run(None, tmp_path / "absent")
    assert not (tmp_path / "absent").exists()


def test_the_dry_run_counts_what_is_there_and_what_is_missing(
    run_copy: Path, tmp_path: Path, tiny_recipe: Path
):
    config = load_recipe(tiny_recipe)
    assert planned(config, tmp_path / "new") == {"explore": (0, 36), "evaluate": (0, 24)}
    after = planned(config, run_copy)
    assert {purpose: missing for purpose, (_, missing) in after.items()} == {
        "explore": 0,
        "evaluate": 0,
    }
    more = load_recipe(tiny_recipe, ["explore.episodes_per_plan=3"])
    done = after["explore"][0]
    assert planned(more, run_copy)["explore"] == (done, 54 - done)
    assert not (tmp_path / "new").exists()


class StopAfter(SilentProgress):
    """Interrupts the work after so many items of a label, by Ctrl-C's signal."""

    def __init__(self, label: str, count: int) -> None:
        self._label, self._count = label, count
        self._label_now = ""

    def track(self, label: str, total: int, done: int = 0):
        self._label_now = label
        return super().track(label, total, done)

    def advance(self, count: int = 1, **facts: float) -> None:
        if self._label_now == self._label:
            self._count -= 1
            if self._count == 0:
                signal.raise_signal(signal.SIGINT)


class Counting(SilentProgress):
    """How much work there is to do, was done before, and is done."""

    def __init__(self) -> None:
        self.total = self.before = self.done = 0

    def expect(self, total: int, done: int = 0) -> None:
        self.total, self.before, self.done = total, done, done

    def advance(self, count: int = 1, **facts: float) -> None:
        self.done += count


def exploring(directory: Path, config=None, progress=None):
    with Run(config, directory, progress) as run:
        return explore(run, sample(run, directory / "planners" / "sft"))


def without_episodes(directory: Path) -> Path:
    """Back to where exploration had not begun."""
    connection = sqlite3.connect(directory / "run.db")
    connection.execute("DELETE FROM episodes")
    connection.commit()
    connection.close()
    return directory


def test_an_interrupted_exploration_plays_only_what_is_missing(run_copy: Path, tiny_recipe):
    expected = exploring(run_copy)
    without_episodes(run_copy)
    few_at_a_time = load_recipe(tiny_recipe, ["runtime.concurrency=2"])
    with pytest.raises(Interrupted):
        exploring(run_copy, few_at_a_time, StopAfter("exploring", 5))
    status = read_status(run_copy)
    summary = next(one for one in status.episodes if one.purpose == "explore")
    assert summary.episodes >= 5
    assert summary.missing > 0
    assert status.stages["explore"].result is None  # begun anew, not finished
    with Run(None, run_copy) as going_on:
        before = going_on.store.finished_keys()
        scores = explore(going_on, sample(going_on, run_copy / "planners" / "sft"))
        played = going_on.store.finished_keys() - before
    assert len(played) == summary.missing
    assert scores == expected


def test_an_interrupted_training_goes_on_and_leaves_the_run_usable(tmp_path, tiny_recipe):
    config = load_recipe(tiny_recipe, ["sft.epochs=6"])
    with (
        pytest.raises(KeyboardInterrupt),
        Run(config, tmp_path, StopAfter("training sft", 3)) as first,
    ):
        first.fine_tune("sft", collect(first), config.sft)
    assert read_status(tmp_path).stages["sft"].result is None
    assert not (tmp_path / "planners" / "sft").exists()
    counting = Counting()
    with Run(None, tmp_path, counting) as again:
        trained = again.fine_tune("sft", collect(again), config.sft)
        assert counting.done == counting.total == 12 > counting.before > 0  # not from 0 again
        made = (trained / "model.safetensors").stat().st_mtime_ns
        assert again.fine_tune("sft", collect(again), config.sft) == trained
        assert (trained / "model.safetensors").stat().st_mtime_ns == made
    assert read_status(tmp_path).stages["sft"].result["updates"] == 12


def test_without_a_dataset_a_planner_stays_what_it_was(run_copy: Path):
    with Run(None, run_copy) as run:
        sft = run_copy / "planners" / "sft"
        assert run.fine_tune("mpo", None, run.config.dpo, start=sft) == sft


def test_a_task_that_can_not_be_read_is_named(tmp_path, tiny_recipe, shaky_installed):
    settings = [
        "benchmark=shaky",
        "tasks.train={task_set: all}",
        "tasks.evaluate={all: {task_set: all}}",
        "runtime.retry={attempts: 1}",
    ]
    broken = Task(
        key="shaky/all/9", benchmark="shaky", task_set="all", task_type="one",
        source={"unreadable": "yes"},
    )  # fmt: skip
    with Run(load_recipe(tiny_recipe, settings), tmp_path) as run:
        run.benchmark = dataclasses.replace(run.benchmark, tasks=lambda task_set: [broken])
        with pytest.raises(RunError, match=r"shaky/all/9 can't be read: ValueError: the file is"):
            run.train_tasks()


def test_a_plan_that_can_not_be_drawn_names_its_task(run_copy: Path):
    with Run(None, run_copy) as run:
        task = next(iter(run.train_tasks().values()))
        long = task.model_copy(update={"instruction": "go " * 5000, "key": "long/1"})
        with pytest.raises(RunError, match=r"for long/1: .* exceed the context"):
            sample_plans(
                run,
                run_copy / "planners" / "sft",
                {long.key: long},
                count=1,
                temperature=0.0,
                label="plans",
            )


def test_one_task_on_which_the_expert_fails_does_not_stop_the_collection(
    tmp_path, tiny_recipe, shaky_installed
):
    settings = [
        "benchmark=shaky",
        "tasks.train={task_set: all}",
        "tasks.evaluate={all: {task_set: all}}",
        "runtime.retry={attempts: 1}",
    ]
    with Run(load_recipe(tiny_recipe, settings), tmp_path) as run:
        with pytest.raises(UserError, match="4 tasks were not solved"):  # none is, in this one
            collect(run)
        sources = {key: found.source for key, found in run.store.trajectories().items()}
    assert "the expert is lost" in sources["shaky/all/1"]
    assert sources["shaky/all/2"] == "test"


def test_status_on_a_network_mount_is_a_file(run_copy: Path, monkeypatch):
    for module in (run, files):
        monkeypatch.setattr(module, "is_network_mount", lambda path: True)
    without_episodes(run_copy)
    exploring(run_copy)
    shutil.move(run_copy / "run.db", run_copy / "elsewhere.db")
    status = read_status(run_copy)
    assert status.episodes[0].missing == 0
    assert status.stages["explore"].result["episodes"] == status.episodes[0].episodes


def test_after_an_interruption_that_file_says_what_there_is(run_copy: Path, monkeypatch):
    for module in (run, files):
        monkeypatch.setattr(module, "is_network_mount", lambda path: True)
    without_episodes(run_copy)
    with pytest.raises(KeyboardInterrupt):
        exploring(run_copy, progress=StopAfter("exploring", 5))
    with RunStore(run_copy, read_only=True) as store:
        there = len(store.finished_keys())
    counted = sum(summary.episodes for summary in read_status(run_copy).episodes)
    assert counted == there >= 5


def test_a_missing_key_stops_a_run_before_it_begins_but_not_one_that_has_begun(
    tiny_recipe: Path, tmp_path: Path, monkeypatch
):
    monkeypatch.delenv("SOME_KEY", raising=False)
    prompted = "{served: {model: m, api_key_env: SOME_KEY}}"
    settings = [f"prompted={prompted}", "evaluate.methods=[none, prompted]"]
    with pytest.raises(ConfigError, match="SOME_KEY is not set"):
        Run(load_recipe(tiny_recipe, settings), tmp_path / "new")
    assert not (tmp_path / "new").exists()
    monkeypatch.setenv("SOME_KEY", "key")
    Run(load_recipe(tiny_recipe, settings), tmp_path / "new").close()
    monkeypatch.delenv("SOME_KEY")
    Run(None, tmp_path / "new").close()
