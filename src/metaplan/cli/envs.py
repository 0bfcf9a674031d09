"""`metaplan envs`: the benchmarks that are installed, also to be played."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from typing import Annotated

from cyclopts import App, Parameter
from rich.markup import escape
from rich.table import Table

from metaplan.cli.consoles import messages, results
from metaplan.cli.play import play
from metaplan.core import MissingDependencyError, UserError
from metaplan.environments import Benchmark, benchmarks, check_environment, get_benchmark

__all__ = ["app", "installed", "missing_package"]

app = App(
    name="envs",
    help="List benchmarks, check one against the environment contract, or play a task yourself.",
)
app.command(play)


@app.command(name="list")
def list_() -> None:
    """List the registered benchmarks with their task sets."""
    table = Table("benchmark", "task sets", "actions", "what it is")
    for benchmark in installed():
        table.add_row(
            benchmark.name,
            "\n".join(benchmark.task_sets),
            str(len(benchmark.action_templates)),
            escape("\n".join(filter(None, [benchmark.description, missing_package(benchmark)]))),
        )
    results().print(table)


@app.command
def check(
    name: Annotated[str, Parameter(help="A registered benchmark, also a third party's.")], /
) -> None:
    """Play a task of a benchmark against the environment contract; exit code 1 if it breaks it."""
    console = results()
    findings = check_environment(get_benchmark(name))
    for finding in findings:
        console.print(f"✗ {finding}", markup=False, highlight=False, style="red")
    if findings:
        sys.exit(1)
    console.print(f"✓ {name} keeps the environment contract", style="green")


def installed() -> Iterator[Benchmark]:
    """The registered benchmarks; of one that can't be loaded, standard error says why."""
    known = benchmarks()
    for name in known:
        try:
            yield known[name]
        except UserError as error:
            messages().print(f"left out: {error}", markup=False, highlight=False, style="yellow")


def missing_package(benchmark: Benchmark) -> str | None:
    """How to install the package that a benchmark needs; None if it is there, or none is needed."""
    if benchmark.needs is None or importlib.util.find_spec(benchmark.needs[0]):
        return None
    return str(MissingDependencyError(*benchmark.needs))
