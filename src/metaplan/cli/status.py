"""`metaplan status`: how a run is doing, while it runs and after."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.console import Console
from rich.table import Table

from metaplan.episodes import RunStatus
from metaplan.runs import read_status

__all__ = ["status"]


def status(directory: Annotated[Path, Parameter(help="Run directory.")], /) -> None:
    """Say what a run has done so far: stages, episodes, rewards, tokens, and what went wrong."""
    console = Console()
    found = read_status(directory)
    console.print(_stages(found, str(directory)))
    if found.episodes:
        console.print(_episodes(found))
        console.print(f"newest rate: {found.rate:.1f} episodes/s")
    for cause, count in found.void.items():
        console.print(f"void: {count} × {cause}", markup=False, highlight=False, style="yellow")


def _stages(status: RunStatus, title: str) -> Table:
    table = Table("stage", "seconds", "result", title=title, title_justify="left")
    for name, stage in status.stages.items():
        facts = [f"{value} {key.replace('_', ' ')}" for key, value in (stage.result or {}).items()]
        words = "not finished" if stage.result is None else ", ".join(facts)
        table.add_row(name, f"{stage.seconds:.1f}", words)
    return table


def _episodes(status: RunStatus) -> Table:
    table = Table("episodes", "count", "reward", "success", "steps", "tokens in", "tokens out")
    for summary in status.episodes:
        table.add_row(
            summary.purpose,
            f"{summary.episodes}",
            f"{summary.reward:.3f}",
            f"{summary.success:.3f}",
            f"{summary.steps:.1f}",
            f"{summary.prompt_tokens:,}",
            f"{summary.completion_tokens:,}",
        )
    return table
