"""Numbers and findings in words, the same in every report format."""

from __future__ import annotations

import re

from metaplan.evaluation import Difference, ResultRow
from metaplan.reports.comparison import MethodComparison

__all__ = [
    "duration",
    "headline",
    "interval",
    "method_label",
    "metric_label",
    "signed_interval",
    "value",
    "verdict",
    "visible",
]

_METRICS = {
    "success": ("Success rate", "%"),
    "reward": ("Average reward", "×100"),
    "reward_per_step": ("Reward per step", ""),
    "steps": ("Steps", ""),
    "invalid_action_rate": ("Invalid actions", "% of steps"),
    "format_error_rate": ("Format errors", "% of steps"),
}
"""Metric to its name and the unit in which `value` prints it."""

_METHOD_LABELS = {
    "none": "No plan",
    "sft": "SFT",
    "rft": "RFT",
    "prompted": "Prompted",
    "mpo": "MPO",
}
_DECIMALS = {"reward_per_step": (1, 3), "steps": (1, 1)}  # factor, decimals; else percent
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


def visible(text: str) -> str:
    """Makes control characters visible: untrusted text must not steer a terminal or a page."""
    return _CONTROL.sub(lambda match: chr(0x2400 + min(ord(match[0]), 0x21)), text)


def method_label(method: str) -> str:
    """How a method is printed."""
    return _METHOD_LABELS.get(method, method)


def metric_label(metric: str, split: str = "") -> str:
    """How a metric is printed, with its unit: ``Success rate on seen, %``."""
    name, unit = _METRICS.get(metric, (metric, ""))
    where = f" on {split}" if split else ""
    return f"{name}{where}{', ' if unit else ''}{unit}"


def value(metric: str, number: float, *, signed: bool = False) -> str:
    """A number in the unit of `metric_label`, with a real minus sign."""
    factor, decimals = _DECIMALS.get(metric, (100, 1))
    text = f"{factor * number:{'+' if signed else ''}.{decimals}f}"
    if float(text) == 0.0:
        text = text.lstrip("+-")
    return text.replace("-", "\N{MINUS SIGN}")


def interval(row: ResultRow) -> str:
    """``[low, high]``, or a dash where the tasks show no spread."""
    return _brackets(row.metric, row.ci_low, row.ci_high, signed=False)


def signed_interval(difference: Difference) -> str:
    """``[low, high]`` with signs, or a dash where all tasks differ by the same."""
    return _brackets(difference.metric, difference.ci_low, difference.ci_high, signed=True)


def _brackets(metric: str, low: float, high: float, *, signed: bool) -> str:
    if low == high:
        return "\N{EN DASH}"
    return f"[{value(metric, low, signed=signed)}, {value(metric, high, signed=signed)}]"


def verdict(difference: Difference) -> str:
    """What the interval allows to say, and no more."""
    if difference.n == 1:
        return "one task: no interval"
    if difference.ci_low == difference.ci_high:
        same = "equal" if difference.difference == 0.0 else "the same difference"
        return f"{same} on all {difference.n} tasks"
    if difference.ci_low > 0.0:
        return "higher"
    if difference.ci_high < 0.0:
        return "lower"
    return "not distinguishable"


_CONCLUSIONS = {
    "higher": "The interval lies above zero.",
    "lower": "The interval lies below zero: it got worse.",
    "not distinguishable": "The interval includes zero: not distinguishable on these tasks.",
}


def headline(comparison: MethodComparison, split: str) -> str | None:
    """One plain sentence or two on the pair the experiment is about; None without a pair."""
    pair = comparison.headline
    found = pair and comparison.difference(split, *pair, comparison.outcomes[-1])
    if not pair or not found:
        return None
    a, b = (comparison.row(split, method, found.metric) for method in pair)
    if a is None or b is None:
        return None
    what = "solved {}% of the tasks" if found.metric == "success" else "earned {} of 100"
    conclusion = _CONCLUSIONS.get(verdict(found), f"{verdict(found).capitalize()}.")
    return (
        f"{_with_plan(pair[0])} the agent {what.format(value(a.metric, a.mean))}, "
        f"{_with_plan(pair[1]).lower() if pair[1] == 'none' else _with_plan(pair[1])} "
        f"{value(b.metric, b.mean)}: {value(found.metric, found.difference, signed=True)} points, "
        f"95% interval {signed_interval(found)}, {found.n} tasks. {conclusion}"
    )


def _with_plan(method: str) -> str:
    return "Without a plan" if method == "none" else f"With {method_label(method)} plans"


def duration(seconds: float) -> str:
    """Wall-clock time as a person says it: ``41 s``, ``6 min 5 s``, ``2 h 13 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
