import json

import pytest

from metaplan.collection import read_seed_plans, read_trajectories
from metaplan.core import DataError, Task

TASKS = {
    key: Task(
        key=key,
        benchmark="household",
        task_set="train",
        task_type="any",
        instruction=f"The room of {key}.",
    )
    for key in ("t/1", "t/2")
}


def write(path, *records):
    lines = [record if isinstance(record, str) else json.dumps(record) for record in records]
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


def test_seed_plans_name_a_training_task_or_bring_their_own(tmp_path):
    path = write(
        tmp_path / "seeds.jsonl",
        {"task_key": "t/1", "plan": "<meta_plan>\nStep 1: Look.\n</meta_plan>"},
        "",
        {"instruction": "Put {a} mug away.", "plan": "1. Take it.\n2. Put it down."},
        {"task_key": "mine", "instruction": "Find it.", "plan": "Step 1: Look."},
    )
    named, own, keyed = read_seed_plans(path, TASKS, "household")
    assert named.task == TASKS["t/1"]
    assert named.plan.steps == ("Look.",)
    assert (own.task.key, own.task.instruction) == ("seeds.jsonl:3", "Put {a} mug away.")
    assert own.plan.steps == ("Take it.", "Put it down.")
    assert keyed.task.key == "mine"


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("not json", "is not JSON"),
        ("[1]", "must be a JSON object"),
        ({"task_key": "t/1"}, "'plan' must be the plan's text"),
        ({"task_key": "t/1", "plan": "Look around."}, "'plan' has no numbered steps"),
        ({"plan": "Step 1: Look."}, "needs 'task_key' or 'instruction'"),
        ({"task_key": "t/9", "plan": "Step 1: Look."}, "'t/9' is not among"),
    ],
)
def test_a_wrong_seed_plan_is_named_by_file_and_line(tmp_path, wrong, message):
    path = write(tmp_path / "s.jsonl", {"task_key": "t/1", "plan": "Step 1: Look."}, wrong)
    with pytest.raises(DataError, match=rf"s\.jsonl, line 2: .*{message}"):
        read_seed_plans(path, TASKS, "household")


def test_trajectories_read_back_as_they_were_exported(tmp_path, trajectory):
    known = [trajectory("t/1", "look"), trajectory("t/2", "go to {desk} 1")]
    path = write(tmp_path / "t.jsonl", *(t.model_dump(mode="json") for t in known))
    assert read_trajectories(path) == known


def test_a_wrong_trajectory_is_named_by_file_line_and_field(tmp_path, trajectory):
    fine = trajectory("t/1", "look").model_dump(mode="json")
    wrong = {**fine, "steps": [{"action": "look"}]}
    path = write(tmp_path / "t.jsonl", fine, wrong)
    with pytest.raises(DataError, match=r"t\.jsonl, line 2: field 'steps\.0\.observation'"):
        read_trajectories(path)


def test_a_trajectory_without_its_tasks_text_is_refused(tmp_path, trajectory):
    """Nobody could tell what its plan is for."""
    one = trajectory("t/1", "look").model_dump(mode="json")
    path = write(tmp_path / "t.jsonl", {**one, "task": {**one["task"], "instruction": ""}})
    with pytest.raises(DataError, match=r"t\.jsonl, line 1: field 'task\.instruction' is empty"):
        read_trajectories(path)


def test_a_second_trajectory_of_a_task_is_refused(tmp_path, trajectory):
    one = trajectory("t/1", "look").model_dump(mode="json")
    path = write(tmp_path / "t.jsonl", one, {**one, "source": "another"})
    with pytest.raises(DataError, match=r"t\.jsonl, line 2: a second trajectory of t/1"):
        read_trajectories(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match=r"absent\.jsonl"):
        read_trajectories(tmp_path / "absent.jsonl")
