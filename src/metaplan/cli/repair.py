"""`metaplan repair`: a new database with what can be read of a damaged one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.table import Table

from metaplan.cli.consoles import results
from metaplan.episodes import repair_database

__all__ = ["repair"]


def repair(directory: Annotated[Path, Parameter(help="Run directory.")], /) -> None:
    """Save what can be read of a run's damaged database; the run then goes on from there.

    The damaged file is kept beside the new one. A sound one is left alone.
    """
    repaired = repair_database(directory)
    console = results()
    if repaired.damaged_file is None:
        console.print("run.db is sound: there is nothing to repair")
        return
    table = Table("rows", "saved", "lost", box=None, padding=(0, 2, 0, 0))
    for name, kept in repaired.kept.items():
        lost = repaired.lost.get(name, 0)
        table.add_row(name.replace("_", " "), f"{kept:,}", f"{lost:,}" if lost else "")
    console.print(table)
    console.print(
        f"What was lost at the end of the file is not counted. The damaged file is kept: "
        f"{repaired.damaged_file}. Give the run's command again: it does again what is missing.",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )
