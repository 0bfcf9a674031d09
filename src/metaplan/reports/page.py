"""`index.html`: the whole report as one page that loads nothing from anywhere."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

from metaplan.core import MissingDependencyError
from metaplan.evaluation import Results
from metaplan.reports import wording
from metaplan.reports.comparison import method_comparisons
from metaplan.reports.context import ExampleEpisode, ReportContext
from metaplan.reports.exploration import summarise
from metaplan.reports.figures import (
    curve_figures,
    difference_figures,
    exploration_figures,
    interval_figures,
    task_type_figures,
)

__all__ = ["page"]


def page(results: Results, context: ReportContext) -> str:
    """Renders the report.

    Everything in it is escaped; the page's own policy forbids scripts and requests besides.

    Raises:
        MissingDependencyError: Jinja2 or matplotlib is absent.
    """
    exploration = summarise(context.plan_scores, context.pairs)
    return str(
        _environment()
        .get_template("page.html.j2")
        .render(
            context=context,
            results=results,
            comparisons=method_comparisons(results),
            incomplete=[c for c in results.coverage if not c.is_complete],
            exploration=exploration,
            exploration_figures=exploration_figures(exploration) if exploration else [],
            curve_figures=curve_figures(context.curves),
            episodes_by_task=_by_task(context.example_episodes),
            interval_figures=interval_figures,
            difference_figures=difference_figures,
            task_type_figures=task_type_figures,
            **{name: getattr(wording, name) for name in wording.__all__},
        )
    )


def _by_task(examples: Iterable[ExampleEpisode]) -> list[Sequence[ExampleEpisode]]:
    """Neighbours that play the same task, to be shown side by side."""
    return [list(group) for _, group in groupby(examples, key=lambda e: e.episode.task_key)]


def _environment() -> Any:
    try:
        from jinja2 import Environment, PackageLoader, StrictUndefined
    except ImportError as error:
        raise MissingDependencyError("jinja2", "report") from error
    return Environment(
        loader=PackageLoader("metaplan.reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        # Control characters in untrusted text would vanish or break the page.
        finalize=lambda shown: wording.visible(shown) if type(shown) is str else shown,
    )
