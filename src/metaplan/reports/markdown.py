"""`results.md`: the findings as Markdown tables, for a pull request or a lab book."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from metaplan.evaluation import COMPARED, Results
from metaplan.reports.comparison import MethodComparison, method_comparisons
from metaplan.reports.context import ReportContext
from metaplan.reports.wording import (
    duration,
    headline,
    interval,
    method_label,
    metric_label,
    signed_interval,
    value,
    verdict,
    visible,
)

__all__ = ["escape", "markdown", "table"]

_SPECIAL = re.compile(r"([\\`*\[\]<>|])")


def escape(text: str) -> str:
    """One line in which Markdown and HTML find nothing to interpret."""
    return _SPECIAL.sub(r"\\\1", " ".join(visible(text).split()))


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table whose first column is text and whose others are numbers; cells are escaped."""
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def markdown(results: Results, context: ReportContext) -> str:
    """The results and the run's facts as GitHub-flavoured Markdown."""
    parts = [f"# {escape(context.title)}"]
    found = method_comparisons(results)
    for comparison in found:
        if len(found) > 1:
            parts.append(f"## {escape(comparison.name)}")
        for split in comparison.splits:
            sentence = headline(comparison, split)
            if sentence:
                parts.append(f"**{escape(split)}.** {escape(sentence)}")
        parts += [_means(comparison), _pairs(comparison)]
    parts += [_coverage(results), _notes(context), _facts(context)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _means(comparison: MethodComparison) -> str:
    metrics = (
        *comparison.outcomes,
        "reward_per_step",
        "steps",
        "invalid_action_rate",
        "format_error_rate",
    )
    rows = []
    for split in comparison.splits:
        for method in comparison.methods:
            cells = [comparison.row(split, method, metric) for metric in metrics]
            texts = [f"{value(c.metric, c.mean)} {interval(c)}" if c else "" for c in cells]
            tasks = str(cells[0].n) if cells[0] else "0"
            rows.append([f"{escape(split)}: {escape(method_label(method))}", *texts, tasks])
    header = ["Mean, 95% interval over tasks", *(metric_label(m) for m in metrics), "Tasks"]
    return table(header, rows)


def _pairs(comparison: MethodComparison) -> str:
    if not comparison.pairs:
        return ""
    rows = []
    for metric in COMPARED:
        if metric not in (*comparison.outcomes, "reward_per_step"):
            continue
        for split in comparison.splits:
            for a, b in comparison.pairs:
                found = comparison.difference(split, a, b, metric)
                if found is None:
                    continue
                rows.append(
                    [
                        f"{escape(metric_label(metric, split))}: "
                        f"{escape(method_label(a))} \N{MINUS SIGN} {escape(method_label(b))}",
                        value(metric, found.difference, signed=True),
                        signed_interval(found),
                        str(found.n),
                        verdict(found),
                    ]
                )
    return table(["Paired over tasks", "Difference", "95% interval", "Tasks", ""], rows)


def _coverage(results: Results) -> str:
    rows = [
        [
            f"{escape(c.split)}: {escape(method_label(c.method))}, seed {escape(str(c.seed))}",
            f"{c.tasks_measured} / {c.tasks_planned}",
            f"{c.episodes_measured} / {c.episodes_planned}",
            ", ".join(f"{count} {cause}" for cause, count in c.void.items()) or "0",
        ]
        for c in results.coverage
    ]
    if not rows:
        return ""
    return table(["Measured of planned", "Tasks", "Episodes", "Void episodes"], rows)


def _notes(context: ReportContext) -> str:
    return "\n".join(f"- {escape(note)}" for note in context.notes)


def _facts(context: ReportContext) -> str:
    facts = context.facts
    lines = {"Recipe": facts.recipe, "Date": facts.date, "Machine": facts.machine}
    lines |= {f"Time, {stage}": duration(s) for stage, s in facts.stage_seconds.items()}
    lines |= {f"Episodes, {stage}": str(count) for stage, count in facts.episodes.items()}
    lines |= {f"Void, {cause}": str(count) for cause, count in facts.void.items()}
    lines |= dict(facts.versions)
    rows = [[escape(name), escape(text)] for name, text in lines.items() if text]
    return table(["Run", ""], rows) if rows else ""
