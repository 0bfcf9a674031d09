"""``review.jsonl``: the plans that wait for a person, and what the person decides.

The run writes a line for each; the person sets ``accept`` to true (after mending ``plan``, if need
be) or to false, and the next collection takes the decision in. A line that a person has touched is
never rewritten.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from metaplan.collection.conversation import conversation_text
from metaplan.collection.seeds import Decision, OpenCase
from metaplan.core import MetaPlan, PlanParseError
from metaplan.planners import read_jsonl, write_jsonl, wrong_line

__all__ = ["read_decisions", "write_review"]


def read_decisions(path: Path, task_keys: Collection[str]) -> dict[str, Decision]:
    """What a person decided so far, by task key. Without a file, nothing is.

    Args:
        path: The run's ``review.jsonl``.
        task_keys: Of the trajectories; a line about another task is a slip.

    Raises:
        DataError: A line can't be used: names the file and the line.
    """
    decisions: dict[str, Decision] = {}
    for number, line in _lines(path):
        key, accept = line.get("task_key"), line.get("accept")
        if accept is None:
            continue
        if not isinstance(accept, bool):
            raise wrong_line(path, number, "'accept' must be true, false or null")
        if not isinstance(key, str) or key not in task_keys:
            raise wrong_line(path, number, f"task_key {key!r} is not among the trajectories")
        if key in decisions:
            raise wrong_line(path, number, f"decides a second time about {key!r}")
        decisions[key] = Decision(plan=_plan(path, number, line) if accept else None)
    return decisions


def _plan(path: Path, number: int, line: Mapping[str, Any]) -> MetaPlan:
    text = line.get("plan")
    try:
        return MetaPlan.parse(text if isinstance(text, str) else "")
    except PlanParseError:
        raise wrong_line(
            path, number, "'accept' is true, but 'plan' has no numbered steps ('Step 1: …')"
        ) from None


def write_review(path: Path, cases: Iterable[OpenCase]) -> int:
    """Writes the lines of open cases, and keeps the lines that a person touched as they are.

    Args:
        path: The run's ``review.jsonl``; read again, since a person may have written meanwhile.
        cases: What waits.

    Returns:
        How many lines have a plan that was edited but not decided about.

    Raises:
        DataError: The file that is there can't be read.
    """
    touched = [line for _, line in _lines(path) if _is_touched(line)]
    own = {line.get("task_key") for line in touched}
    fresh = [_line(case) for case in cases if case.trajectory.task.key not in own]
    write_jsonl(path, sorted([*touched, *fresh], key=lambda line: str(line.get("task_key"))))
    return sum(line.get("accept") is None for line in touched)


def _lines(path: Path) -> Iterable[tuple[int, dict[str, Any]]]:
    return read_jsonl(path) if path.exists() else ()


def _is_touched(line: Mapping[str, Any]) -> bool:
    """Whether a line is decided, or its plan is no longer the one that the run proposed."""
    if line.get("accept") is not None:
        return True
    try:
        texts = [str(attempt["text"]) for attempt in line["attempts"]]
    except (KeyError, TypeError):
        return True
    return line.get("plan") != _proposal(texts)


def _proposal(texts: Iterable[str]) -> str:
    """The plan to begin mending with: the last that can be read; empty without one."""
    proposal = ""
    for text in texts:
        with suppress(PlanParseError):
            proposal = MetaPlan.parse(text).text
    return proposal


def _line(case: OpenCase) -> dict[str, Any]:
    trajectory, attempts = case.trajectory, case.attempts
    return {
        "task_key": trajectory.task.key,
        "accept": None,
        "plan": _proposal(attempt.text for attempt in attempts),
        "problems": list(attempts[-1].findings),
        "instruction": trajectory.task.instruction,
        "expert": conversation_text(trajectory),
        "attempts": [
            {
                "by": attempt.by,
                "temperature": attempt.temperature,
                "shortened": attempt.shortened,
                "problems": list(attempt.findings),
                "text": attempt.text,
            }
            for attempt in attempts
        ],
    }
