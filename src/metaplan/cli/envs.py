"""`metaplan envs`: the benchmarks that are installed."""

from __future__ import annotations

import sys
from typing import Annotated

from cyclopts import App, Parameter
from rich.table import Table

from metaplan.cli.consoles import results
from metaplan.environments import benchmarks, check_environment, get_benchmark

__all__ = ["app"]

app = App(name="envs", help="List benchmarks, or check one against the environment contract.")


@app.command(name="list")
def list_() -> None:
    """List the registered benchmarks with their task sets."""
    table = Table("benchmark", "task sets", "actions", "what it is")
    for name, benchmark in benchmarks().items():
        table.add_row(
            name,
            "\n".join(benchmark.task_sets),
            str(len(benchmark.action_templates)),
            benchmark.description,
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
