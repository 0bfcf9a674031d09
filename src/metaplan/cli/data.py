"""`metaplan data`: benchmark data on this machine."""

from __future__ import annotations

import sys
from typing import Annotated

from cyclopts import App, Parameter
from rich.table import Table

from metaplan.cli.consoles import results
from metaplan.core import UserError
from metaplan.environments.data import (
    DataReport,
    DataSource,
    check_data,
    data_directory,
    data_sources,
    fetch,
    get_source,
)

__all__ = ["app"]

app = App(
    name="data",
    help=(
        "List, fetch and check benchmark data.\n\nIt lies in the directory that the environment "
        "variable METAPLAN_DATA names, by default in the user's cache. The household benchmark "
        "needs none."
    ),
)


@app.command(name="list")
def list_() -> None:
    """List the archives that Metaplan reads, and which of them are here."""
    table = Table("archive", "benchmark", "here", "holds")
    for source in data_sources():
        here = f"{source.path.stat().st_size / 1e6:.1f} MB" if source.path.exists() else "no"
        table.add_row(source.name, source.benchmark, here, source.holds)
    console = results()
    console.print(f"data directory: {data_directory()}", markup=False, highlight=False)
    console.print(table)


@app.command(name="fetch")
def fetch_(
    names: Annotated[
        tuple[str, ...], Parameter(help="Archives, or a benchmark; none fetches all that can be.")
    ] = (),
    /,
) -> None:
    """Download archives from their official sources; an interrupted download goes on."""
    public = [source for source in data_sources() if source.url is not None]
    chosen: list[DataSource] = []
    for name in names:
        chosen += [source for source in public if source.benchmark == name] or [get_source(name)]
    for source in chosen or public:
        path = fetch(source)
        results().print(f"{path}: {path.stat().st_size / 1e6:.1f} MB", markup=False)


@app.command
def check() -> None:
    """Read all data: counts, grammar, damage. Exit code 1 if something is wrong with it."""
    console = results()
    reports = list(check_data())
    if not any(report.count for report in reports):
        raise UserError(
            f"there is no benchmark data in {data_directory()}: 'metaplan data fetch' gets it, and "
            f"'metaplan data list' says which archive goes where"
        )
    table = Table("task set", "tasks", "official", "state", "directory")
    for report in reports:
        table.add_row(
            f"{report.benchmark} {report.task_set}",
            str(report.count),
            str(report.expected),
            _state(report),
            str(report.directory or "-"),
        )
    console.print(table)
    problems = [problem for report in reports for problem in report.problems]
    for problem in problems:
        console.print(f"✗ {problem}", markup=False, highlight=False, style="red")
    if problems:
        sys.exit(1)


def _state(report: DataReport) -> str:
    if report.problems:
        return "damaged"
    if not report.count:
        return "absent"
    return "complete" if report.count >= report.expected else "partial"
