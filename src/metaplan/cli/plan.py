"""`metaplan plan`: a plan for a task, from a trained planner."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from metaplan.cli.consoles import results
from metaplan.core import PlanParseError, UserError
from metaplan.planners import load_planner

__all__ = ["plan"]


def plan(
    task: Annotated[
        str, Parameter(help="The task's text, or - for standard input.", allow_leading_hyphen=True)
    ],
    /,
    *,
    planner: Annotated[Path, Parameter(help="A planner's directory, e.g. RUN/planners/mpo.")],
) -> None:
    """Write a plan for a task.

    The text should be what the planner was trained on: for household games and ALFWorld the room
    listing and "Your task is to: …".
    """
    text = sys.stdin.read() if task == "-" else task
    if not text.strip():
        raise UserError("the task's text is empty")
    try:
        written = load_planner(planner).plan(text)
    except PlanParseError as error:
        raise UserError(f"the planner wrote no plan for this text: {error}") from None
    results().print(written.text, markup=False, highlight=False)
