"""`metaplan run --dry-run`: the plan of a run as two tables, and what they rest on."""

from __future__ import annotations

from pathlib import Path

from rich.markup import escape
from rich.table import Column, Table

from metaplan.cli.consoles import duration, results
from metaplan.core import UserError
from metaplan.recipes import RunConfig, load_recipe
from metaplan.runs import DryRun, PlannedStage, check_resumable, estimate_run

__all__ = ["print_dry_run"]


def print_dry_run(config: RunConfig | None, out: Path) -> None:
    """Says what a run would do; touches nothing.

    Raises:
        UserError: There is neither a recipe nor a run, or the run can't go on with the recipe.
    """
    kept = out / "config.yaml"
    if config is None:
        if not kept.exists():
            raise UserError(f"{out} holds no run: name a recipe")
        config = load_recipe(kept)
    check_resumable(config, out)
    planned = estimate_run(config, out)
    console = results()
    console.print(_work(planned, f"{config.name}: what would be done in {out}"))
    console.print(_costs(planned))
    working_b = max(stage.working_b for stage in planned.stages)
    checkpoints = [f"Checkpoints take up to {_bytes(working_b)} more while a model is trained."]
    for note in (*planned.notes, *(checkpoints if working_b else ())):
        console.print(f"- {note}", markup=False, highlight=False)


def _work(planned: DryRun, title: str) -> Table:
    table = Table(
        Column("stage", no_wrap=True), "tasks", "episodes", "there", "missing", "turns", "each",
        "time left",
        title=escape(title), title_justify="left",
    )  # fmt: skip
    for stage in planned.stages:
        played = [
            f"≤ {stage.episodes:,}",
            f"{stage.done:,}",
            f"≤ {stage.missing:,}",
            f"≤ {_count(stage.turns) or 0}",
            f"{stage.turns_each:.0f}",
            duration(stage.duration_s) if stage.duration_s is not None else "",
        ]
        there = ["", "all" if stage.finished else "none", "", "", "", ""]
        table.add_row(stage.name, f"{stage.tasks:,}", *(played if stage.episodes else there))
    return table


def _costs(planned: DryRun) -> Table:
    table = Table(
        Column("stage", no_wrap=True), "tokens in", "cached", "out", "API in", "out", "GPU h",
        "CPU h", "disk", title="and what it costs", title_justify="left",
    )  # fmt: skip
    for stage in planned.stages:
        table.add_row(stage.name, *_cost(stage))
    efforts = [stage.effort for stage in planned.stages]
    unknown = any(effort.gpu_h is None for effort in efforts)
    table.add_section()
    table.add_row(
        "in all",
        *[""] * 3,
        _count(sum(effort.api.prompt for effort in efforts)),
        _count(sum(effort.api.completion for effort in efforts)),
        _hours(sum(effort.gpu_h or 0.0 for effort in efforts)) + (" + ?" if unknown else ""),
        _hours(sum(stage.cpu_h for stage in planned.stages)),
        _bytes(sum(stage.disk_b for stage in planned.stages)),
    )
    return table


def _cost(stage: PlannedStage) -> list[str]:
    effort, tokens = stage.effort, stage.effort.tokens
    return [
        _count(effort.trained or tokens.prompt),
        f"{tokens.cached / tokens.prompt:.0%}" if tokens.prompt else "",
        _count(tokens.completion),
        _count(effort.api.prompt),
        _count(effort.api.completion),
        "?" if effort.gpu_h is None else _hours(effort.gpu_h),
        _hours(stage.cpu_h),
        _bytes(stage.disk_b),
    ]


def _count(number: float) -> str:
    """Two digits: more than an estimate knows."""
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if number >= size:
            return f"{_two_digits(number / size)} {unit}"
    return f"{number:.0f}" if number else ""


def _two_digits(number: float) -> str:
    return f"{number:,.0f}" if number >= 10 else f"{number:.1f}"


def _hours(hours: float) -> str:
    if hours == 0:
        return ""
    return _two_digits(hours) if hours >= 0.1 else "< 0.1"


def _bytes(size: float) -> str:
    return f"{_count(size)}B" if size else ""
