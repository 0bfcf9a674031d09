"""The package's folds, ETO's lists, and what is said where they are missing or wrong."""

import json

import pytest

from metaplan.core import DataError
from metaplan.environments.scienceworld import task_sets
from metaplan.environments.scienceworld.task_sets import TASKS_IN_SET, current_name


def test_the_packages_folds_are_disjoint_and_cover_30_types(benchmark):
    folds = {name: benchmark.tasks(name) for name in ("train", "dev", "test")}
    assert {name: len(tasks) for name, tasks in folds.items()} == {
        name: TASKS_IN_SET[name] for name in folds
    }
    assert len({task.key for tasks in folds.values() for task in tasks}) == 7207
    assert {len({task.task_type for task in tasks}) for tasks in folds.values()} == {30}


def test_folds_are_asked_from_the_simulator_once_and_then_read_from_the_cache(
    benchmark, monkeypatch
):
    listed = benchmark.tasks("dev")
    task_sets._variations.cache_clear()  # as in a new process
    monkeypatch.setattr(task_sets, "read_variations", lambda: pytest.fail("asked again"))
    assert benchmark.tasks("dev") == listed


def test_a_damaged_cache_is_asked_for_again(benchmark, monkeypatch, tmp_path):
    listed = benchmark.tasks("dev")
    known = task_sets._variations()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    task_sets._variations.cache_clear()
    monkeypatch.setattr(task_sets, "read_variations", lambda: known)
    assert benchmark.tasks("dev") == listed
    (kept,) = (tmp_path / "metaplan" / "scienceworld").iterdir()
    kept.write_text("{", "utf-8")
    task_sets._variations.cache_clear()
    assert benchmark.tasks("dev") == listed
    assert json.loads(kept.read_text("utf-8")) == known


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("task-1-boil", "boil"),
        (
            "task-2a-test-conductivity-of-unknown-substances",
            "test-conductivity-of-unknown-substances",
        ),
        (
            "task-2-power-component-(renewable-vs-nonrenewable-energy)",
            "power-component-renewable-vs-nonrenewable-energy",
        ),
        (
            "task-10-measure-melting-point-(known-substance)",
            "measure-melting-point-known-substance",
        ),
        ("task-9-mendellian-genetics-(known-plant)", "mendelian-genetics-known-plant"),
        ("task-7-identify-life-stages-1", "identify-life-stages-1"),
        ("boil", "boil"),
    ],
)
def test_old_names_are_translated(old, new):
    assert current_name(old) == new


@pytest.fixture
def lists(tmp_path, monkeypatch):
    """A data directory with two small lists."""
    directory = tmp_path / "splits" / "sciworld"
    directory.mkdir(parents=True)
    (directory / "test_indices.json").write_text('[["task-1-boil", 22], ["task-1-boil", 21]]')
    (directory / "max_steps.json").write_text('{"task-1-boil": 100}')
    monkeypatch.setenv("METAPLAN_DATA", str(tmp_path))
    return directory


def test_a_list_names_tasks_of_today_and_limits_their_steps(benchmark, lists):
    tasks = benchmark.tasks("test@paper")
    assert [task.key for task in tasks] == ["scienceworld/boil/21", "scienceworld/boil/22"]
    assert {benchmark.step_limit(task) for task in tasks} == {100}
    assert benchmark.fingerprint("test@paper").keys() > benchmark.fingerprint("test").keys()


def test_the_order_of_a_list_does_not_change_the_fingerprint(benchmark, lists):
    before = benchmark.fingerprint("test@paper")
    (lists / "test_indices.json").write_text('[["task-1-boil", 21], ["task-1-boil", 22]]')
    assert benchmark.fingerprint("test@paper") == before
    (lists / "test_indices.json").write_text('[["task-1-boil", 21]]')
    assert benchmark.fingerprint("test@paper") != before


def test_a_missing_list_is_named_with_the_command_that_brings_it(benchmark, lists):
    with pytest.raises(DataError, match=r"train_indices\.json is missing.*metaplan data fetch"):
        benchmark.tasks("train@paper")


@pytest.mark.parametrize("text", ["[", '{"a": 1}', "[[1, 2]]", '[["boil"]]', '[["boil", "x"]]'])
def test_a_malformed_list_is_named(benchmark, lists, text):
    (lists / "test_indices.json").write_text(text)
    with pytest.raises(DataError, match=r"test_indices\.json"):
        benchmark.tasks("test@paper")


def test_official_tasks_have_the_packages_step_limit(benchmark, task):
    assert benchmark.step_limit(task("boil")) == 100


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"task": "boil", "variation": "30"}, r"variations 0 to 29, and no 30"),
        ({"task": "boil", "variation": "-1"}, "not a ScienceWorld task"),
        ({"task": "knit", "variation": "0"}, "no task 'knit'; there are: boil"),
        ({}, "not a ScienceWorld task"),
    ],
)
def test_a_task_that_the_simulator_lacks_is_refused_by_name(benchmark, task, source, message):
    with pytest.raises(DataError, match=message):
        benchmark.load(task("boil").model_copy(update={"source": source}))


def test_an_unknown_task_set_is_refused(benchmark):
    with pytest.raises(DataError, match="no task set 'valid'"):
        benchmark.tasks("valid")


@pytest.mark.data
def test_etos_lists_name_tasks_that_exist_with_a_step_limit_for_each(benchmark):
    folds = {
        fold: {task.key for task in benchmark.tasks(fold)} for fold in ("train", "dev", "test")
    }
    for fold in folds:
        tasks = benchmark.tasks(f"{fold}@paper")
        assert len(tasks) == TASKS_IN_SET[f"{fold}@paper"]
        assert {task.key for task in tasks} <= folds["train"] | folds["dev"] | folds["test"]
        assert all(10 <= benchmark.step_limit(task) <= 120 for task in tasks)
    assert {task.key for task in benchmark.tasks("test@paper")} <= folds["test"]


@pytest.mark.data
def test_the_audit_finds_every_task_set_complete(benchmark):
    reports = list(benchmark.data.audit())
    assert [report.problems for report in reports] == [()] * 7
    assert {report.task_set: report.count for report in reports[1:]} == TASKS_IN_SET
