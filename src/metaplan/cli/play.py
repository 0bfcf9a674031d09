"""`metaplan envs play`: a person plays a task, as an agent does."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Annotated, Any

from cyclopts import Parameter
from rich.console import Console
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from metaplan.cli.consoles import messages, results
from metaplan.core import Task, UserError
from metaplan.environments import Benchmark, StepResult, get_benchmark
from metaplan.reports.wording import visible

__all__ = ["play"]


def play(
    name: Annotated[str, Parameter(help="A registered benchmark.")],
    task: Annotated[
        str, Parameter(help="A task set, a task's key, or its beginning; none: the first task.")
    ] = "",
    /,
    *,
    web: Annotated[
        bool, Parameter(help="Play in a browser, where the benchmark has pages (webshop).")
    ] = False,
    port: Annotated[int, Parameter(help="Where the browser finds it; 0: a free one.")] = 0,
) -> None:
    """Play a task yourself: read what an agent reads, type what it types, see the score.

    The step limit is the agent's. The end of the input (Ctrl-D) ends the game.
    """
    benchmark = get_benchmark(name)
    chosen = _find(benchmark, task)
    try:
        if web:
            _serve(benchmark, chosen, port)
        else:
            _play(results(), benchmark, chosen)
    except KeyboardInterrupt:
        messages().print("ended")


def _find(benchmark: Benchmark, wanted: str) -> Task:
    """A task set's first task, or the first whose key begins so, with or without the name."""
    whole_set = wanted in benchmark.task_sets
    beginnings = ("",) if whole_set else (wanted, f"{benchmark.name}/{wanted}")
    missing: list[UserError] = []
    for task_set in [wanted] if whole_set else benchmark.task_sets:
        try:
            tasks = benchmark.tasks(task_set)
        except UserError as error:  # its data is not here; another set may do
            missing.append(error)
            continue
        for task in tasks:
            if task.key.startswith(beginnings):
                return task
    if missing:
        raise missing[0]
    raise UserError(
        f"{benchmark.name} has no task set {wanted!r}, and no task whose key begins so; "
        f"its sets: {', '.join(benchmark.task_sets)}"
    )


def _play(console: Console, benchmark: Benchmark, task: Task) -> None:
    environment = benchmark.load(task).make()
    limit = benchmark.step_limit(task)
    try:
        opening = environment.reset()
        console.print(_titled("Actions", "\n".join(benchmark.action_templates)))
        console.print(_titled(task.key, opening.text))
        last = None
        for step in range(1, limit + 1):
            action = _ask(console)
            if action is None:
                break
            last = environment.step(action)
            console.print(Text(visible(last.observation), style="cyan"))
            console.print(_state(last, step, limit))
            if last.terminated or last.truncated:
                break
        console.print(_outcome(last))
        if last is not None and last.info:
            console.print(_details(last.info))
    finally:
        environment.close()


def _ask(console: Console) -> str | None:
    """The next action; None at the end of the input."""
    try:
        while not (action := console.input("[bold]> [/]").strip()):
            pass
    except EOFError:
        console.print()
        return None
    return action


def _titled(title: str, text: str) -> Panel:
    return Panel(Text(visible(text)), title=Text(visible(title)), title_align="left")


def _state(result: StepResult, step: int, limit: int) -> Text:
    text = Text(f"step {step} of {limit}, reward {result.reward:.2f}", style="dim")
    return text if result.valid else text.append("  not possible: nothing changed", style="red")


def _outcome(result: StepResult | None) -> Text:
    if result is None:
        return Text("nothing done", style="bold yellow")
    if result.success:
        return Text(f"solved: reward {result.reward:.2f}", style="bold green")
    how = "ended" if result.terminated or result.truncated else "not finished"
    return Text(f"{how}, not solved: reward {result.reward:.2f}", style="bold red")


def _details(info: Mapping[str, Any]) -> Table:
    table = Table(show_header=False, box=None)
    for name, value in info.items():
        table.add_row(Text(visible(name), style="dim"), Text(visible(str(value))))
    return table


def _serve(benchmark: Benchmark, task: Task, port: int) -> None:
    if benchmark.serve is None:
        raise UserError(f"{benchmark.name} has no pages for a browser: leave --web out")

    def announce(address: str) -> None:
        line = f"{task.key}: open {address} in a browser; Ctrl-C ends"
        results().print(line, markup=False, highlight=False, soft_wrap=True)
        sys.stdout.flush()

    benchmark.serve(task, port, announce)
