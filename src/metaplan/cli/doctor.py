"""`metaplan doctor`: what works on this machine, what does not, and what to do about it."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from metaplan.cli.consoles import messages, results
from metaplan.cli.run import Settings
from metaplan.core import UserError
from metaplan.recipes import RunConfig, load_recipe
from metaplan.runs.doctor import Finding, Verdict, carry_out, checks_for

__all__ = ["doctor"]

_STYLES = {Verdict.FINE: "green", Verdict.NOTE: "yellow", Verdict.BROKEN: "bold red"}
_SUBJECT_WIDTH = 18


def doctor(
    what: Annotated[
        str | None, Parameter(help="A run directory, a built-in recipe, or a YAML file.")
    ] = None,
    /,
    *,
    out: Annotated[
        Path | None, Parameter(help="Where a recipe's run would be kept: is there room?")
    ] = None,
    settings: Settings = (),
) -> None:
    """Check what a run needs, and say what to do about what is missing or broken.

    Without an argument it looks at the installation: what is not installed is a note (!), and only
    what is there and does not work is wrong (✗). With a recipe or a run directory everything that
    it needs has to work: packages, data, Java, disk, and every endpoint that it names, which is
    asked for one word. A run's database is looked through as well.

    Nothing is changed (an archive of games is unpacked into the cache, as a run does once), and no
    key is shown. Exit code 0 if nothing is wrong, 1 otherwise. Each check has a time limit; all
    together they take about as long as PyTorch takes to load.

    `metaplan doctor`: is this machine ready?

    `metaplan doctor alfworld-paper --out /data/runs/1`: for this recipe, in this place?

    `metaplan doctor runs/demo`: why does this run not go on?
    """
    config, directory = _subject(what, out, settings)
    exists = directory is not None and out is None
    counts = Counter[Verdict]()
    console = results()
    for finding in carry_out(checks_for(config, directory, exists=exists)):
        counts[finding.verdict] += 1
        _show(console, finding)
    console.print(_summary(what, counts))
    if counts[Verdict.BROKEN]:
        sys.exit(1)


def _subject(
    what: str | None, out: Path | None, settings: tuple[str, ...]
) -> tuple[RunConfig | None, Path | None]:
    """What is to be examined.

    Raises:
        UserError: There is no such recipe, or the directory holds no run.
    """
    if what is None:
        return None, out
    directory = Path(what)
    if not directory.is_dir():
        return load_recipe(what, settings), out
    kept = directory / "config.yaml"
    if not kept.exists() and not (directory / "run.db").exists():
        raise UserError(f"{directory} holds no run (there is neither config.yaml nor run.db in it)")
    try:
        return load_recipe(kept, settings), directory
    except UserError as error:  # the rest of the run can be looked at all the same
        messages().print(f"without its configuration: {error}", style="yellow", markup=False)
        return None, directory


def _show(console: Console, finding: Finding) -> None:
    table = Table.grid(Column(width=1), Column(width=_SUBJECT_WIDTH), Column(), padding=(0, 1))
    style = _STYLES[finding.verdict]
    table.add_row(Text(finding.verdict.value, style), Text(finding.subject), Text(finding.fact))
    if finding.remedy:
        table.add_row("", "", Text.assemble(("→ ", style), (finding.remedy, "bold")))
    console.print(table)


def _summary(what: str | None, counts: Counter[Verdict]) -> Text:
    broken, notes = counts[Verdict.BROKEN], counts[Verdict.NOTE]
    noted = f" ({notes} note{'s' * (notes > 1)})" if notes else ""
    if broken:
        return Text(f"\n{broken} thing{'s' * (broken > 1)} to put right{noted}", "bold red")
    ready = f"all that {what} needs is here" if what else "what is installed works"
    return Text(f"\n{ready}{noted}", "bold green")
