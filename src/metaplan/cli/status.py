"""`metaplan status`: how a run is doing, while it runs and after."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number
from rich.console import Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.table import Column, Table
from rich.text import Text

from metaplan.cli.consoles import duration, results
from metaplan.core import UserError
from metaplan.episodes import EpisodeSummary, RunStatus
from metaplan.models.served import Prices
from metaplan.recipes import RunConfig, load_recipe
from metaplan.runs import read_status
from metaplan.runs.costs import dollars, role_prices

__all__ = ["print_status", "status"]

_CAUSE_CHARACTERS = 300
_STALE_S = 120.0


def status(
    directory: Annotated[Path, Parameter(help="Run directory.")],
    /,
    *,
    watch: Annotated[
        float | None,
        Parameter(
            help="Show it again every so many seconds, until the run ends or Ctrl-C.",
            validator=Number(gt=0),
        ),
    ] = None,
) -> None:
    """Say how a run is doing: stages, episodes, rates, time left, tokens and money, what failed.

    May be asked at any time, also while the run goes on and from another machine. Money is shown
    where the run's models have prices, in US dollars per million tokens. They may be set at any
    time, when the run goes on or in its config.yaml: agent.served.prices.prompt=2.5 and
    agent.served.prices.completion=10 (likewise prompted.served, collect.summariser.served).
    """
    if watch is None:
        print_status(directory)
        return
    found = read_status(directory)
    with Live(_page(found, directory), console=results(), auto_refresh=False) as live:
        try:
            while found.running is not None:
                time.sleep(watch)
                found = read_status(directory)
                live.update(_page(found, directory), refresh=True)
        except KeyboardInterrupt:
            return  # whoever only watches interrupts nothing


def print_status(directory: Path) -> None:
    """Prints how the run in a directory is doing.

    Raises:
        RunError: The directory holds no run.
    """
    results().print(_page(read_status(directory), directory))


def _page(status: RunStatus, directory: Path) -> Group:
    config = _config(directory)
    verb = "tune" if config and config.tuning else "run"
    parts: list[RenderableType] = [_headline(status, directory, verb), _stages(status)]
    if status.episodes:
        parts.append(_episodes(status))
        parts += [Text("\n").join(pace)] if (pace := list(_pace(status))) else []
    if status.tokens:
        parts.append(_tokens(status, role_prices(config) if config else {}))
    if status.slowest:
        parts.append(_slowest(status))
    if status.void:
        parts.append(_void(status))
    return Group(*[part for each in parts for part in (each, "")][:-1])


def _config(directory: Path) -> RunConfig | None:
    """The run's; None where it can't be read."""
    try:
        return load_recipe(directory / "config.yaml")
    except UserError:
        return None


def _headline(status: RunStatus, directory: Path, verb: str) -> Text:
    line = Text(str(directory), style="bold")
    if status.running is not None:
        since = _clock(status.running.since)
        line.append(f": running ({status.running}) since {since}", "green")
    elif _is_unfinished(status):
        command = f"metaplan {verb} --out {directory}"
        line.append(f": not running, and not finished; to go on: {command}", "yellow")
    else:
        line.append(": not running; all that was begun is finished", "not bold")
    return line


def _is_unfinished(status: RunStatus) -> bool:
    return any(stage.result is None for stage in status.stages.values()) or any(
        summary.missing for summary in status.episodes
    )


def _stages(status: RunStatus) -> Table:
    table = _table("stage", Column("time", justify="right", no_wrap=True), "result")
    for name, stage in status.stages.items():
        facts = [f"{value} {key.replace('_', ' ')}" for key, value in (stage.result or {}).items()]
        words = "not finished" if stage.result is None else ", ".join(facts)
        table.add_row(name, _took(stage.seconds), words)
    return table


def _episodes(status: RunStatus) -> Table:
    names = ("finished", "missing", "reward", "success", "steps")
    table = _table("episodes", *(Column(name, justify="right") for name in names))
    for summary in status.episodes:
        means = ("", "", "")
        if summary.episodes:
            means = (f"{summary.reward:.3f}", f"{summary.success:.3f}", f"{summary.steps:.1f}")
        table.add_row(summary.purpose, f"{summary.episodes:,}", _missing(summary), *means)
    return table


def _missing(summary: EpisodeSummary) -> str:
    if summary.at_most is None:
        return f"{summary.missing:,}"
    return f"{summary.missing:,} now, ≤ {summary.at_most:,}"


def _pace(status: RunStatus) -> Iterator[Text]:
    """How fast it goes or went, and when it will be done."""
    rates = status.rates
    if rates.episodes:
        words = (
            f"{_number(rates.episodes)} episodes/s, {_number(rates.turns)} turns/s, "
            f"{_number(rates.prompt_tokens)} tokens/s in, "
            f"{_number(rates.completion_tokens)} tokens/s out"
        )
        yield Text(f"pace: {words}" if status.running else f"pace, when it last ran: {words}")
    missing = sum(summary.missing for summary in status.episodes)
    more = sum(summary.at_most or summary.missing for summary in status.episodes)
    if missing and rates.episodes:
        yield Text(_left(status, missing, "planned episodes are missing"))
        if more > missing:
            yield Text(_left(status, more, "at most are needed"))
    silent_s = status.at - (rates.newest_at or status.at)
    if status.running and missing and silent_s > _STALE_S:
        yield Text(f"no episode has finished since {_clock(rates.newest_at or 0.0)}", "yellow")


def _left(status: RunStatus, missing: int, what: str) -> str:
    left_s = missing / status.rates.episodes
    when = f", until {_clock(status.at + left_s)}" if status.running else " once it goes on"
    return f"{missing:,} {what}: {duration(left_s)} at this pace{when}"


def _tokens(status: RunStatus, prices: dict[str, Prices]) -> Table:
    """Tokens by role, and what they cost where a price is known."""
    names = ("in", "out", *(("USD, at most",) if prices else ()))
    table = _table("tokens", *(Column(name, justify="right", no_wrap=True) for name in names))
    priced = prices.keys() & status.tokens.keys()
    costs = {role: dollars(status.tokens[role], prices[role]) for role in priced}
    for role, usage in status.tokens.items():
        cost = f"{costs[role]:,.2f}" if role in costs else ""
        row = (role, f"{usage.prompt_tokens:,}", f"{usage.completion_tokens:,}")
        table.add_row(*row, *((cost,) if prices else ()))
    if len(costs) > 1:
        table.add_section()
        table.add_row("in all", "", "", f"{sum(costs.values()):,.2f}")
    return table


def _slowest(status: RunStatus) -> Table:
    names = ("mean", "longest", "steps", "episodes")
    table = _table(
        *(Column(name, justify="right", no_wrap=True) for name in names),
        Column("slowest tasks", overflow="fold"),
    )
    for task in status.slowest:
        table.add_row(
            _took(task.mean_s),
            _took(task.max_s),
            f"{task.steps:.1f}",
            f"{task.episodes:,}",
            escape(task.task_key),
        )
    return table


def _void(status: RunStatus) -> Table:
    """Attempts that came to nothing: how many, for what, and whether it still happens."""
    finished = sum(summary.episodes for summary in status.episodes)
    share = status.void_attempts / (status.void_attempts + finished)
    table = _table(
        Column("void", justify="right", no_wrap=True),
        Column("newest", no_wrap=True),
        Column(f"cause ({status.void_attempts:,} attempts, {share:.1%} of all)", overflow="fold"),
        style="yellow",
    )
    for cause in status.void:
        table.add_row(f"{cause.count:,}", _clock(cause.newest_at), escape(_short(cause.cause)))
    hidden = status.void_causes - len(status.void)
    if hidden:
        rest = status.void_attempts - sum(cause.count for cause in status.void)
        table.add_row(f"{rest:,}", "", f"{hidden:,} more causes")
    return table


def _table(*columns: Column | str, style: str = "") -> Table:
    return Table(*columns, box=None, padding=(0, 2, 0, 0), style=style)


def _short(cause: str) -> str:
    line = " ".join(cause.split())
    return line if len(line) <= _CAUSE_CHARACTERS else f"{line[:_CAUSE_CHARACTERS]} …"


def _clock(at: float) -> str:
    """A time of today by the clock, another one with its day."""
    moment = datetime.fromtimestamp(at)
    today = moment.date() == datetime.now().date()
    return moment.strftime("%H:%M:%S" if today else "%Y-%m-%d %H:%M")


def _took(seconds: float) -> str:
    """A measured time, such as ``3.2 s``, ``12 min 05 s``, ``3 h 20 min``."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02} s"
    return f"{minutes // 60:,} h {minutes % 60:02} min"


def _number(value: float) -> str:
    """Three digits."""
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value:.3g}"
