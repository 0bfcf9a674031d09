"""`metaplan status`: how a run is doing, while it runs and after."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.markup import escape
from rich.table import Table

from metaplan.cli.consoles import duration, results
from metaplan.episodes import RunStatus
from metaplan.runs import read_status

__all__ = ["print_status", "status"]


def status(directory: Annotated[Path, Parameter(help="Run directory.")], /) -> None:
    """Say what a run has done so far: stages, episodes, rewards, tokens, and what went wrong."""
    print_status(read_status(directory), str(directory))


def print_status(status: RunStatus, title: str) -> None:
    """Prints how a run is doing.

    Args:
        status: See `metaplan.runs.read_status`.
        title: Above the tables.
    """
    console = results()
    console.print(_stages(status, title))
    if status.episodes:
        console.print(_episodes(status))
    missing = sum(summary.missing for summary in status.episodes)
    if missing and status.rate:
        left = duration(missing / status.rate)
        console.print(
            f"{missing} planned episodes are missing: {left} at the newest rate, "
            f"{status.rate:.1f} episodes/s",
            highlight=False,
        )
    for cause, count in status.void.items():
        console.print(f"void: {count} × {cause}", markup=False, highlight=False, style="yellow")


def _stages(status: RunStatus, title: str) -> Table:
    table = Table("stage", "seconds", "result", title=escape(title), title_justify="left")
    for name, stage in status.stages.items():
        facts = [f"{value} {key.replace('_', ' ')}" for key, value in (stage.result or {}).items()]
        words = "not finished" if stage.result is None else ", ".join(facts)
        table.add_row(name, f"{stage.seconds:.1f}", words)
    return table


def _episodes(status: RunStatus) -> Table:
    table = Table(
        "episodes", "finished", "missing", "reward", "success", "steps", "tokens in", "tokens out",
        box=None, padding=(0, 2, 0, 0),
    )  # fmt: skip
    for summary in status.episodes:
        table.add_row(
            summary.purpose,
            f"{summary.episodes:,}",
            f"{summary.missing:,}",
            f"{summary.reward:.3f}",
            f"{summary.success:.3f}",
            f"{summary.steps:.1f}",
            f"{summary.prompt_tokens:,}",
            f"{summary.completion_tokens:,}",
        )
    return table
