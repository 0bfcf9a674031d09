"""JSONL files, above all training data for planners in TRL's conversational format.

The prompt of every line is what the planner reads in use, and the completion is what it should
write, so training and use can't drift apart. Beside TRL's fields a line carries ``task_key`` and,
where known, scores; trainers ignore them.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from metaplan.core import DataError, MetaPlan, PreferencePair, Task
from metaplan.planners.planner import PlannerPrompt

__all__ = ["pair_line", "plan_line", "read_jsonl", "write_jsonl", "wrong_line"]


def plan_line(prompt: PlannerPrompt, task: Task, plan: MetaPlan) -> dict[str, Any]:
    """One line of an SFT dataset: ``(u, p)`` of equation 3, without the golden trajectory."""
    return {
        "prompt": prompt.messages(task.instruction),
        "completion": [_reply(prompt, plan)],
        "task_key": task.key,
    }


def pair_line(
    prompt: PlannerPrompt, tasks: Mapping[str, Task], pair: PreferencePair
) -> dict[str, Any]:
    """One line of a DPO dataset: ``(u, p_w, p_l)`` of equation 7."""
    return {
        "prompt": prompt.messages(tasks[pair.task_key].instruction),
        "chosen": [_reply(prompt, pair.chosen)],
        "rejected": [_reply(prompt, pair.rejected)],
        "task_key": pair.task_key,
        "chosen_score": pair.chosen_score,
        "rejected_score": pair.rejected_score,
    }


def write_jsonl(path: Path, lines: Iterable[Mapping[str, Any]]) -> Path:
    """Writes one JSON object a line; the file appears whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    with partial.open("w", encoding="utf-8") as file:
        for line in lines:
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
    return path


def read_jsonl(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Line numbers, from 1, and the JSON objects on them; blank lines are skipped.

    Raises:
        DataError: The file can't be read, or a line is no JSON object.
    """
    try:
        lines = path.read_text("utf-8").split("\n")  # `splitlines` also splits at U+2028
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"can't read {path}: {error}") from None
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except ValueError as error:
            raise wrong_line(path, number, f"is not JSON ({error})") from None
        if not isinstance(record, dict):
            raise wrong_line(path, number, "must be a JSON object")
        yield number, record


def wrong_line(path: Path, number: int, what: str) -> DataError:
    """The error for a bad line: names file and line, and says what is wrong."""
    return DataError(f"{path}, line {number}: {what}")


def _reply(prompt: PlannerPrompt, plan: MetaPlan) -> dict[str, str]:
    return {"role": "assistant", "content": plan.tagged(prompt.dialect)}
