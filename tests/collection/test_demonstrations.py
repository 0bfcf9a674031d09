"""Demonstrations: which plans go with them, and what is kept when they are interrupted."""

import json
import signal
import sqlite3
import subprocess
import time
from collections import defaultdict
from pathlib import Path

import pytest

from metaplan import load_recipe
from metaplan.collection import agent_dataset, demonstrate
from metaplan.collection.demonstrations import _WRITER, _lenders, _part
from metaplan.core import ConfigError, MetaPlan, Task, UserError
from metaplan.environments import get_benchmark
from metaplan.episodes import SilentProgress
from metaplan.planners import read_jsonl, write_jsonl
from metaplan.runs import Run

HOUSEHOLD = get_benchmark("household")


class Heard(SilentProgress):
    def __init__(self):
        self.said, self.tracked = [], []

    def say(self, text):
        self.said.append(text)

    def track(self, label, total, done=0):
        self.tracked.append((label, total, done))
        return super().track(label, total, done)


def shown(recipe, directory, *settings, progress=None):
    with Run(load_recipe(recipe, settings), directory, progress) as run:
        return demonstrate(run)


def lines(recipe, directory, *settings):
    with Run(load_recipe(recipe, settings), directory) as run:
        return [line for _, line in read_jsonl(agent_dataset(run, demonstrate(run)))]


def test_alone_a_person_learns_no_plan_from_anybody(tuning_recipe, tmp_path):
    found = shown(tuning_recipe, tmp_path, "tuning.plans={none: 1, own: 0, other: 0}")
    assert [one.trajectory.task.key for one in found] == sorted(
        {o.trajectory.task.key for o in found}
    )
    assert 10 <= len(found) <= 12  # now and then somebody gives up
    for one in found:
        assert (one.plan, one.origin, one.trajectory.plan) == (None, "none", None)
        assert one.seed_plan == HOUSEHOLD.summarise(one.trajectory)
        assert all(step.thought for step in one.trajectory.steps)


def seed_plan_of(task: Task) -> MetaPlan:
    return HOUSEHOLD.summarise(HOUSEHOLD.expert(task))


def seed_plans_of(task: Task) -> list[MetaPlan]:
    """The expert's, and that of the person who writes plans."""
    writer = HOUSEHOLD.demonstrate(task, _WRITER, None)
    return [seed_plan_of(task), HOUSEHOLD.summarise(writer)]


def test_an_own_plan_is_the_seed_plan_of_the_task_and_the_person_is_shown_it(
    tuning_recipe, tmp_path
):
    found = shown(tuning_recipe, tmp_path, "tuning.plans={none: 0, own: 1, other: 0}")
    assert all(one.plan in seed_plans_of(one.trajectory.task) for one in found)
    experts = sum(one.plan == seed_plan_of(one.trajectory.task) for one in found)
    assert 0 < experts < len(found)
    assert all(one.plan == one.trajectory.plan for one in found)
    assert {one.origin for one in found} == {"own"}


def test_another_s_plan_is_of_a_task_that_looks_for_the_same_and_the_person_is_shown_it(
    tuning_recipe, tmp_path
):
    settings = ("tasks.train.count=60", "tuning.plans={none: 0, own: 0, other: 1}")
    found = shown(tuning_recipe, tmp_path, *settings)
    assert 50 <= len(found) <= 60
    with Run(load_recipe(tuning_recipe, settings), tmp_path) as run:
        tasks = run.train_tasks()
    alike = defaultdict(list)
    for task in tasks.values():  # who lent a plan need not have been demonstrated to the end
        alike[HOUSEHOLD.looks_for(task)].append(task)
    for one in found:
        task = one.trajectory.task
        others = [other for other in alike[HOUSEHOLD.looks_for(task)] if other.key != task.key]
        assert one.trajectory.plan == one.plan
        if one.origin == "other":
            assert one.plan in [plan for other in others for plan in seed_plans_of(other)]
        else:  # nobody looks for the same
            assert (others, one.origin) == ([], "own")
            assert one.plan in seed_plans_of(task)
    assert sum(one.origin == "other" for one in found) >= 5


def test_of_several_other_tasks_plans_the_longest_is_shown(tuning_recipe, tmp_path):
    said = "You see a desk 1.\nYour task is to: put a mug in desk."
    common = {"benchmark": "household", "task_set": "train", "task_type": "t", "instruction": said}
    tasks = [Task(key=f"household/train/{index}", **common) for index in range(40)]
    plans = [MetaPlan(steps=("Go to the desk.",) * (index + 1)) for index in range(40)]
    seeds = {task.key: [plan] for task, plan in zip(tasks, plans, strict=True)}
    recipe = load_recipe(tuning_recipe, ("tuning.plans={none: 0, own: 0, other: 1}",))
    with Run(recipe, tmp_path) as run:
        for person in range(5):
            lenders = _lenders(run, tasks[0], person, tasks)
            assert len(lenders) == 4
            assert tasks[0] not in lenders
            shown = _part(run, tasks[0], person, tasks, seeds).plan
            assert len(shown.steps) == max(len(seeds[one.key][0].steps) for one in lenders)


def test_shares_are_kept_over_many_demonstrations(tuning_recipe, tmp_path):
    found = shown(
        tuning_recipe, tmp_path, "tuning.people=8", "tuning.plans={none: 3, own: 1, other: 0}"
    )
    share = sum(one.origin == "none" for one in found) / len(found)
    assert 0.6 < share < 0.9
    assert len({tuple(one.trajectory.steps) for one in found}) > 24  # people differ


def test_lines_say_what_was_shown_and_are_conversations(tuning_recipe, tmp_path):
    for line in lines(tuning_recipe, tmp_path, "tuning.people=2"):
        roles = [message["role"] for message in line["messages"]]
        assert roles == ["user", "assistant"] * (len(roles) // 2)
        first = line["messages"][0]["content"]
        assert ("Step 1:" in first) == (line["plan_key"] is not None)
        assert (line["plan_key"] is None) == (line["plan_origin"] == "none")
        assert ("The plan says" in str(line["messages"])) <= ("Step 1:" in first)


def test_what_people_do_by_mistake_is_read_but_not_trained(tuning_recipe, tmp_path):
    found = shown(tuning_recipe, tmp_path, "tuning.people=2")
    limit = HOUSEHOLD.step_limit(found[0].trajectory.task)
    steps = [step for one in found for step in one.trajectory.steps[:limit]]
    replies = [
        message
        for line in lines(tuning_recipe, tmp_path, "tuning.people=2")
        for message in line["messages"]
        if message["role"] == "assistant"
    ]
    assert any(step.mistake for step in steps)
    assert [message.get("weight", 1) for message in replies] == [not s.mistake for s in steps]


def test_more_people_and_tasks_leave_the_others_as_they_are(tuning_recipe, tmp_path):
    before = lines(tuning_recipe, tmp_path, "tuning.plans={none: 1, own: 1, other: 0}")
    heard = Heard()
    grown = ("tuning.plans={none: 1, own: 1, other: 0}", "tuning.people=2", "tasks.train.count=18")
    shown(tuning_recipe, tmp_path, *grown, progress=heard)
    assert ("expert trajectories", 18, 12) in heard.tracked
    assert any(label == "demonstrations" and total == 36 for label, total, _ in heard.tracked)
    after = lines(tuning_recipe, tmp_path, *grown)
    assert [line for line in after if line in before] == before
    heard = Heard()
    shown(tuning_recipe, tmp_path, *grown, progress=heard)
    assert heard.tracked == []


def test_killed_at_any_moment_nothing_is_played_twice_and_the_dataset_is_the_same(
    tuning_recipe, tmp_path, metaplan_command
):
    settings = ("tasks.train.count=20", "tuning.people=5")
    whole = lines(tuning_recipe, tmp_path / "whole", *settings)
    killed = tmp_path / "killed"
    command = metaplan_command.command(
        "tune", tuning_recipe, "--out", killed, "--until", "demonstrate",
        *(part for setting in settings for part in ("--set", setting)),
    )  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while played(killed) < 20:
        assert process.poll() is None, "it ended before it could be killed"
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    kept = played(killed)
    assert 20 <= kept < 100
    heard = Heard()
    shown(tuning_recipe, killed, *settings, progress=heard)
    done = sum(done for label, _, done in heard.tracked if label.startswith("demonstrations"))
    assert done == kept
    assert lines(tuning_recipe, killed, *settings) == whole


def played(directory: Path) -> int:
    """Demonstrations, without those that only make plans to be shown."""
    path = directory / "run.db"
    if not path.exists():
        return 0
    connection = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)
    try:
        count = "SELECT COUNT(*) FROM demonstrations WHERE person != ?"
        return connection.execute(count, (_WRITER,)).fetchone()[0]
    except sqlite3.OperationalError:  # not there yet
        return 0
    finally:
        connection.close()


@pytest.fixture
def own_trajectories(tuning_recipe, tmp_path) -> Path:
    """A file of trajectories without thoughts, of which one is unsolved."""
    found = shown(tuning_recipe, tmp_path / "source", "tuning.plans={none: 1, own: 0, other: 0}")
    records = []
    for one in found:
        record = json.loads(one.trajectory.model_dump_json())
        for step in record["steps"]:
            step["thought"] = ""
        records.append(record)
    records[0]["success"] = False
    return write_jsonl(tmp_path / "own.jsonl", records)


def test_trajectories_of_one_s_own_are_learned_with_thoughts_from_a_template(
    tuning_recipe, tmp_path, own_trajectories
):
    heard = Heard()
    settings = [f"collect.trajectories={own_trajectories}"]
    found = shown(tuning_recipe, tmp_path / "run", *settings, progress=heard)
    assert len(found) == len(list(read_jsonl(own_trajectories))) - 1
    assert {one.origin for one in found} == {"none", "own"}
    assert any("can't be shown plans" in text for text in heard.said)
    (said,) = [text for text in heard.said if text.startswith("demonstrate:")]
    steps = sum(len(one.trajectory.steps) for one in found)
    assert f"{steps} steps, {steps} template thoughts, 1 unsolved" in said
    for line in lines(tuning_recipe, tmp_path / "run", *settings):
        assert line["messages"][1]["content"].startswith("Thought: I need to go to")
    with pytest.raises(ConfigError, match=r"tuning\.people is 2, but .* read from a file: set 1"):
        shown(tuning_recipe, tmp_path / "two", *settings, "tuning.people=2")


def test_where_nothing_was_solved_there_is_nothing_to_learn(
    tuning_recipe, tmp_path, own_trajectories
):
    records = [record | {"success": False} for _, record in read_jsonl(own_trajectories)]
    write_jsonl(own_trajectories, records)
    with pytest.raises(UserError, match=r"of \d+ tasks the expert solved none"):
        shown(tuning_recipe, tmp_path / "run", f"collect.trajectories={own_trajectories}")


VARIED = ("collect={expert: exploring, varied_rooms: 1.0}",)


def test_varied_rooms_are_what_the_agent_reads_and_tasks_stay_as_they_are(tuning_recipe, tmp_path):
    with Run(load_recipe(tuning_recipe, VARIED), tmp_path) as run:
        found = demonstrate(run)
        tasks = run.train_tasks()
        conversations = [line for _, line in read_jsonl(agent_dataset(run, found))]
    rooms = {one.trajectory.task.key: set() for one in found}
    for one, line in zip(found, conversations, strict=True):
        seen = one.trajectory.task.instruction
        rooms[one.trajectory.task.key].add(seen)
        assert seen in line["messages"][0]["content"]
    assert all(len(seen) <= 2 for seen in rooms.values())  # the varied one, and the real one
    assert sum(tasks[key].instruction not in seen for key, seen in rooms.items()) >= 6
    for task in tasks.values():
        assert task.instruction == HOUSEHOLD.load(task).make().reset().text


def test_varied_rooms_want_somebody_who_explores(tuning_recipe):
    with pytest.raises(ConfigError, match="'varied_rooms' wants expert 'exploring'"):
        load_recipe(tuning_recipe, ["collect.varied_rooms=0.5"])
