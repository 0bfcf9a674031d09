"""Figures of C4 (agents by plans, as the paper's Figure 4) and C6 (curves, as its Figure 5)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from claims.designs import curve_letters, curve_methods
from claims.findings import Finding, Mean
from claims.study import Study
from metaplan.core import MissingDependencyError

__all__ = ["draw"]

_COLOURS = {"none": "#8a8a8a", "sft": "#3b78b5", "mpo": "#c2571a"}
_MARKERS = {"none": "o", "sft": "s", "mpo": "D"}


def draw(study: Study, findings: Sequence[Finding], out: Path) -> list[str]:
    """Draws what can be drawn, as PNG and SVG.

    Returns:
        Names of the PNG files.

    Raises:
        MissingDependencyError: matplotlib is not installed.
    """
    names = []
    for finding in findings:
        for split in dict.fromkeys(mean.split for mean in finding.means):
            means = [mean for mean in finding.means if mean.split == split]
            if finding.key == "C4":
                figure = _agents(means, split)
            elif finding.key == "C6":
                figure = _curves(means, split, study)
            else:
                continue
            names.append(f"{finding.key}-{split}.png")
            figure.savefig(out / names[-1], dpi=150)
            figure.savefig(out / f"{finding.key}-{split}.svg", metadata={"Date": None})
    return names


def _agents(means: Sequence[Mean], split: str) -> Any:
    """Each agent's success with each kind of plan."""
    agents = list(dict.fromkeys(mean.agent for mean in means))
    figure, (axes,) = _figure(1)
    for place, method in enumerate(_COLOURS):
        found = {mean.agent: mean for mean in means if mean.method == method}
        at = [agents.index(agent) + 0.18 * (place - 1) for agent in found]
        _points(axes, at, list(found.values()), method, line="none")
    axes.set_xticks(range(len(agents)), agents)
    axes.set_ylabel(f"success on {split} (%)")
    axes.set_ylim(-2, 102)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=3)
    return figure


def _curves(means: Sequence[Mean], split: str, study: Study) -> Any:
    """Success over M and, where there is chance, over N, the other at the recipe's own."""
    by_method = {mean.method: mean for mean in means}
    letters, methods = curve_letters(study), curve_methods(study)
    figure, panels = _figure(len(letters))
    for axes, letter in zip(panels, letters, strict=True):
        counts = [count for name, count in methods if name == letter]
        _points(axes, counts, [by_method[methods[letter, count]] for count in counts], "mpo")
        axes.set_xticks(counts)
        axes.set_xlabel({"M": "M: plans per task", "N": "N: episodes per plan"}[letter])
    panels[0].set_ylabel(f"success on {split} (%)")
    return figure


def _points(
    axes: Any, at: Sequence[float], means: Sequence[Mean], method: str, line: str = "-"
) -> None:
    values = [100 * mean.number.value for mean in means]
    below = [100 * (mean.number.value - mean.number.low) for mean in means]
    above = [100 * (mean.number.high - mean.number.value) for mean in means]
    axes.errorbar(
        at, values, yerr=[below, above], label=method, color=_COLOURS[method],
        marker=_MARKERS[method], linestyle=line, capsize=3, linewidth=1.4,
    )  # fmt: skip


def _figure(panels: int) -> tuple[Any, Any]:
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingDependencyError("matplotlib", "report") from error
    figure = Figure(figsize=(6.4, 3.6), layout="constrained")
    drawn = figure.subplots(1, panels, sharey=True, squeeze=False)[0]
    for axes in drawn:
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="y", linewidth=0.5)
    return figure, drawn
