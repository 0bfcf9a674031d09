"""`metaplan run`: all of MPO by a recipe."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from metaplan.cli.consoles import messages, results
from metaplan.cli.dry_run import print_dry_run
from metaplan.cli.progress import TerminalProgress
from metaplan.cli.status import print_status
from metaplan.pipeline import run_mpo
from metaplan.recipes import RunConfig, load_recipe
from metaplan.reports import differences_table, load_results, results_table

__all__ = ["Out", "Recipe", "Settings", "do", "run"]

Recipe = Annotated[str | None, Parameter(help="Name of a built-in recipe, or a YAML file.")]
Out = Annotated[Path, Parameter(help="Run directory; an existing run goes on.")]
Settings = Annotated[
    tuple[str, ...],
    Parameter(
        name="--set",
        help="Change a field: key=value, e.g. explore.episodes_per_plan=8. May be repeated.",
        negative=(),
    ),
]


def run(
    recipe: Recipe = None,
    *,
    out: Out,
    settings: Settings = (),
    dry_run: Annotated[bool, Parameter(help="Only say what would be done.", negative=())] = False,
) -> None:
    """Run the whole of Meta Plan Optimization: collect, explore, optimize, evaluate, report.

    Give the same command again to go on after an interruption; without RECIPE the run in --out
    goes on as it was configured.
    """
    config = load_recipe(recipe, settings) if recipe else None
    if dry_run:
        print_dry_run(config, out)
        return
    do(config, out)


def do(config: RunConfig | None, out: Path, *, until: str = "report") -> None:
    """Runs the pipeline up to a stage, with progress on stderr and results on stdout."""
    console = messages()
    console.print(f"run directory: {out}", markup=False, highlight=False, soft_wrap=True)
    run_mpo(config, out, TerminalProgress(console), until=until)
    if until not in {"evaluate", "report"}:
        print_status(out)
        return
    found = load_results(out)
    results().print(results_table(found))
    results().print(differences_table(found))
    if until == "report":
        page = out / "report" / "index.html"
        results().print(f"report: {page}", markup=False, highlight=False, soft_wrap=True)
