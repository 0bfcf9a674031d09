"""`metaplan run --dry-run`: the plan of a run as a table."""

from __future__ import annotations

from pathlib import Path

from rich.markup import escape
from rich.table import Table

from metaplan.cli.consoles import duration, results
from metaplan.core import UserError
from metaplan.recipes import RunConfig, load_recipe
from metaplan.runs import check_resumable, planned_episodes

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
    table = Table(
        "", "tasks", "episodes", "there already", "missing", "turns", "tokens in", "tokens out",
        "time",
        title=escape(f"{config.name}: what would be done in {out}"), title_justify="left",
    )  # fmt: skip
    for planned in planned_episodes(config, out):
        table.add_row(
            planned.purpose,
            f"{planned.tasks:,}",
            f"≤ {planned.episodes:,}",
            f"{planned.done:,}",
            f"≤ {planned.missing:,}",
            f"≤ {planned.turns:,} ({planned.turns_each:.0f} each)",
            f"≤ {planned.prompt_tokens:,}",
            f"≤ {planned.completion_tokens:,}",
            duration(planned.duration_s),
        )
    console = results()
    console.print(table)
    explore = config.explore
    console.print(
        f"{explore.plans_per_task} plans × {explore.episodes_per_plan} episodes a task; upper "
        f"bounds: equal plans share episodes, and solved episodes end early. Tokens are estimates "
        f"(4 characters each); time is at this run's own rate, or 1 ms a turn without the model."
    )
