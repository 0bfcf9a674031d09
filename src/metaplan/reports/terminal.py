"""Tables and episodes for the terminal. Untrusted text never becomes rich markup."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from metaplan.core import Episode, MetaPlan, Task
from metaplan.evaluation import COMPARED, Results
from metaplan.reports.comparison import MethodComparison, method_comparisons
from metaplan.reports.wording import (
    duration,
    interval,
    method_label,
    metric_label,
    signed_interval,
    value,
    verdict,
    visible,
)

__all__ = ["differences_table", "render_episode", "results_table"]


def results_table(results: Results) -> Table:
    """Methods against splits: success, reward and reward per step, mean [95% interval].

    Reward is left out where it equals success (a binary benchmark).
    """
    found = method_comparisons(results)
    splits = list(dict.fromkeys(split for comparison in found for split in comparison.splits))
    table = Table(title="Mean [95% interval over tasks]", title_justify="left")
    table.add_column("")
    for split in splits:
        table.add_column(Text(visible(split)), justify="right", no_wrap=True)
    for comparison in found:
        if len(found) > 1:
            table.add_row(Text(visible(comparison.name), style="bold"))
        for metric in (*comparison.outcomes, "reward_per_step"):
            table.add_row(Text(metric_label(metric), style="italic"))
            for method in comparison.methods:
                cells = [_mean(comparison, split, method, metric) for split in splits]
                table.add_row(Text(f"  {visible(method_label(method))}"), *cells)
            table.add_section()
    return table


def _mean(comparison: MethodComparison, split: str, method: str, metric: str) -> Text:
    row = comparison.row(split, method, metric)
    if row is None:
        return Text("\N{EN DASH}", style="dim")
    return Text.assemble((value(metric, row.mean), "bold"), (f" {interval(row)}", "dim"))


def differences_table(results: Results) -> Table:
    """Paired differences between methods with what their intervals allow to say."""
    found = method_comparisons(results)
    table = Table(title="Paired differences over tasks, 95% interval", title_justify="left")
    for heading in ("split", "methods"):
        table.add_column(heading)
    for heading in ("difference", "interval"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("")
    for comparison in found:
        metrics = [m for m in COMPARED if m in (*comparison.outcomes, "reward_per_step")]
        if len(found) > 1:
            table.add_row(Text(visible(comparison.name), style="bold"))
        for metric in metrics:
            table.add_row(Text(metric_label(metric), style="italic"))
            for row in _differences(comparison, metric):
                table.add_row(*row)
            table.add_section()
    return table


def _differences(comparison: MethodComparison, metric: str) -> list[Sequence[Text]]:
    rows: list[Sequence[Text]] = []
    for split in comparison.splits:
        for a, b in comparison.pairs:
            found = comparison.difference(split, a, b, metric)
            if found is None:
                continue
            word = verdict(found)
            rows.append(
                (
                    Text(visible(split)),
                    Text(visible(f"{method_label(a)} \N{MINUS SIGN} {method_label(b)}")),
                    Text(value(metric, found.difference, signed=True), style="bold"),
                    Text(signed_interval(found)),
                    Text(word, style="bold" if word in {"higher", "lower"} else "dim"),
                )
            )
    return rows


def render_episode(episode: Episode, task: Task, plan: MetaPlan | None) -> RenderableType:
    """One episode to be read from top to bottom: task, plan, turns, outcome.

    Args:
        episode: Finished or void.
        task: Whose instruction is shown; its key where it has none.
        plan: The plan that the agent had, or None.
    """
    parts: list[RenderableType] = [
        Panel(Text(visible(task.instruction or task.key)), title="Task", title_align="left")
    ]
    if plan is not None:
        where = f"Plan, in the {episode.placement}" if episode.placement else "Plan"
        parts.append(Panel(Text(visible(plan.text)), title=where, title_align="left"))
    for number, turn in enumerate(episode.turns, 1):
        marks = f" [{turn.problem}]" if turn.problem else ""
        heading = Text(f"{number}  reward {turn.reward:.2f}{marks}", style="dim")
        parts += [
            Rule(heading, align="left", style="dim"),
            Text(visible(turn.reply), style="bold red" if turn.problem else "bold"),
            Text(visible(turn.observation), style="cyan"),
        ]
    parts.append(Rule(style="dim"))
    parts.append(_outcome(episode))
    return Group(*parts)


def _outcome(episode: Episode) -> Text:
    reason = episode.stop_reason
    style = "bold yellow" if reason.is_void else "bold green" if episode.success else "bold red"
    outcome = Text(reason.value, style=style)
    outcome.append(
        f"  reward {episode.reward:.2f}, {episode.steps} steps, "
        f"invalid actions: {episode.invalid_actions}, format errors: {episode.format_errors}, "
        f"{duration(episode.duration_s)}",
        style="default",
    )
    if episode.cause:
        outcome.append(f"\n{visible(episode.cause)}", style="yellow")
    return outcome
