"""`metaplan data`: benchmark data on this machine."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import Annotated

from cyclopts import App, Parameter
from rich.filesize import decimal
from rich.table import Table
from rich.text import Text

from metaplan.cli.consoles import messages, results
from metaplan.cli.envs import installed, missing_package
from metaplan.core import UserError
from metaplan.environments import Benchmark, get_benchmark
from metaplan.environments.data import (
    DataReport,
    DataSource,
    damage,
    data_directory,
    fetch_all,
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
    """List every file that Metaplan can use: where it goes, whether it is here, how to get it."""
    console = results()
    console.print(f"data directory: {data_directory()}", markup=False, highlight=False)
    for benchmark in installed():
        console.print(f"\n{benchmark.name}", style="bold", highlight=False)
        if benchmark.needs:
            state = (
                missing_package(benchmark) or f"The package '{benchmark.needs[0]}' is installed."
            )
            console.print(state, markup=False, highlight=False, soft_wrap=True)
        if sources := _sources(benchmark):
            console.print(_files(sources))


@app.command(name="fetch")
def fetch_(
    names: Annotated[
        tuple[str, ...], Parameter(help="Files or benchmarks; none fetches all that can be.")
    ] = (),
    /,
) -> None:
    """Download files from their official sources; an interrupted download goes on."""
    known = list(installed())
    named = [source for name in names for source in _named(name, known)]
    public = [source for benchmark in known for source in _sources(benchmark) if source.url]
    sources = list(dict.fromkeys(named or public))
    _say_how_much(sources)
    for path in fetch_all(sources):
        results().print(
            f"{path}: {decimal(path.stat().st_size)}", markup=False, highlight=False, soft_wrap=True
        )


def _say_how_much(sources: Sequence[DataSource]) -> None:
    """Before the first byte: all files together can be more than one wants."""
    missing = [source for source in sources if not source.path.exists()]
    if len(missing) > 1:
        known = [source.size_bytes for source in missing if source.size_bytes is not None]
        unknown = len(missing) - len(known)
        size = decimal(sum(known)) + (f" and {unknown} of unknown size" if unknown else "")
        messages().print(
            f"fetching {len(missing)} files ({size}) into {data_directory()}; Ctrl-C stops, and "
            f"'metaplan data fetch NAME' gets one benchmark's or one file",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )


@app.command
def check(
    names: Annotated[tuple[str, ...], Parameter(help="Benchmarks; none checks all.")] = (), /
) -> None:
    """Read all data: counts, grammar, checksums, damage. Exit code 1 if something is wrong."""
    console = results()
    benchmarks = [get_benchmark(name) for name in names] or list(installed())
    reports = [report for benchmark in benchmarks for report in _audit(benchmark)]
    problems = [problem for report in reports for problem in report.problems]
    sources = [source for benchmark in benchmarks for source in _sources(benchmark)]
    problems += [problem for source in sources if (problem := damage(source))]
    if not problems and not any(report.count for report in reports):
        raise UserError(
            f"there is no benchmark data in {data_directory()}: 'metaplan data fetch' gets it, and "
            f"'metaplan data list' says which file goes where"
        )
    console.print(_overview(reports))
    for note in dict.fromkeys(_notes(reports)):
        console.print(f"· {note}", markup=False, highlight=False, soft_wrap=True)
    for problem in dict.fromkeys(problems):
        console.print(f"✗ {problem}", markup=False, highlight=False, style="red", soft_wrap=True)
    if problems:
        sys.exit(1)


def _sources(benchmark: Benchmark) -> tuple[DataSource, ...]:
    return benchmark.data.sources if benchmark.data else ()


def _audit(benchmark: Benchmark) -> Iterator[DataReport]:
    if benchmark.data:
        yield from benchmark.data.audit()


def _named(name: str, benchmarks: Sequence[Benchmark]) -> list[DataSource]:
    """A benchmark's files that have an address, or the file of that name."""
    for benchmark in benchmarks:
        if benchmark.name == name and _sources(benchmark):
            return [source for source in _sources(benchmark) if source.url]
    everything = [source for benchmark in benchmarks for source in _sources(benchmark)]
    if found := [source for source in everything if name in {source.name, source.path.name}]:
        return found
    known = [benchmark.name for benchmark in benchmarks if _sources(benchmark)]
    known += [source.name for source in everything]
    raise UserError(f"there is no data called {name!r}; there is: {', '.join(known)}")


def _files(sources: Sequence[DataSource]) -> Table:
    table = Table("file, and what it holds", "here", "size", "SHA-256", "get by")
    for source in sources:
        table.add_row(
            Text.assemble(source.name, "\n", (source.holds, "dim")),
            _here(source),
            _size(source),
            "known" if source.sha256 else "-",
            "fetch" if source.url else "hand",
        )
    return table


def _here(source: DataSource) -> str:
    if source.path.exists():
        return "yes"
    partial = source.path.with_name(source.path.name + ".partial")
    return f"{decimal(partial.stat().st_size)} of it" if partial.exists() else "no"


def _size(source: DataSource) -> str:
    size = source.path.stat().st_size if source.path.exists() else source.size_bytes
    return decimal(size) if size is not None else "?"


def _overview(reports: Sequence[DataReport]) -> Table:
    table = Table("task set", "tasks", "official", "state", "directory")
    table.columns[0].overflow = table.columns[-1].overflow = "fold"
    for report in reports:
        table.add_row(
            f"{report.benchmark} {report.task_set}",
            str(report.count),
            str(report.expected),
            _state(report),
            str(report.directory or "-"),
        )
    return table


def _state(report: DataReport) -> str:
    if report.problems:
        return "damaged"
    if not report.count:
        return "absent"
    return "complete" if report.count >= report.expected else "partial"


def _notes(reports: Sequence[DataReport]) -> Iterator[str]:
    for report in reports:
        yield from report.notes
    if any(report.count == 0 for report in reports):
        yield "'metaplan data fetch' gets what is absent; 'metaplan data list' says where it goes"
