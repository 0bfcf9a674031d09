"""Reading one's own seed plans and expert trajectories (JSONL)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from metaplan.collection.seeds import SeedPlan
from metaplan.core import ExpertTrajectory, MetaPlan, PlanParseError, Task
from metaplan.planners import read_jsonl, wrong_line

__all__ = ["read_seed_plans", "read_trajectories"]


def read_seed_plans(path: Path, tasks: Mapping[str, Task], benchmark: str) -> list[SeedPlan]:
    """Seed plans, one JSON object a line.

    Each has ``plan`` (text in any format that `MetaPlan.parse` reads) and either ``task_key`` (a
    task of the run's training set) or ``instruction`` (the task's text, for tasks of one's own).

    Raises:
        DataError: Names the file and the line, and says what would be right.
    """
    seeds = []
    for number, record in read_jsonl(path):
        text = record.get("plan")
        if not isinstance(text, str):
            raise wrong_line(path, number, "'plan' must be the plan's text")
        try:
            plan = MetaPlan.parse(text)
        except PlanParseError:
            raise wrong_line(path, number, "'plan' has no numbered steps ('Step 1: …')") from None
        task = _task(path, number, record, tasks, benchmark)
        seeds.append(SeedPlan(task=task, plan=plan, by="file"))
    return seeds


def _task(
    path: Path, number: int, record: Mapping[str, Any], tasks: Mapping[str, Task], benchmark: str
) -> Task:
    key, instruction = record.get("task_key"), record.get("instruction")
    if isinstance(instruction, str) and instruction:
        name = key if isinstance(key, str) else f"{path.name}:{number}"
        return Task(
            key=name,
            benchmark=benchmark,
            task_set="imported",
            task_type="imported",
            instruction=instruction,
        )
    if not isinstance(key, str):
        raise wrong_line(path, number, "needs 'task_key' or 'instruction'")
    if key not in tasks:
        raise wrong_line(path, number, f"task_key {key!r} is not among the run's training tasks")
    return tasks[key]


def read_trajectories(path: Path) -> list[ExpertTrajectory]:
    """Expert trajectories in the form in which a run exports them, one of a task.

    Raises:
        DataError: Names the file and the line, and says what would be right.
    """
    trajectories: dict[str, ExpertTrajectory] = {}
    for number, record in read_jsonl(path):
        try:
            trajectory = ExpertTrajectory.model_validate(record)
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(str(part) for part in first["loc"])
            raise wrong_line(path, number, f"field '{field}': {first['msg']}") from None
        if not trajectory.task.instruction:
            raise wrong_line(path, number, "field 'task.instruction' is empty: the task's text")
        if trajectory.task.key in trajectories:
            raise wrong_line(path, number, f"a second trajectory of {trajectory.task.key}")
        trajectories[trajectory.task.key] = trajectory
    return list(trajectories.values())
