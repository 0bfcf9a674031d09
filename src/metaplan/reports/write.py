"""Writes a run's report: `results.json`, `results.md` and `index.html`."""

from __future__ import annotations

from pathlib import Path

from metaplan.evaluation import Results
from metaplan.reports.context import ReportContext
from metaplan.reports.markdown import markdown
from metaplan.reports.page import page
from metaplan.runs import write_text

__all__ = ["write_report"]


def write_report(directory: Path, results: Results, context: ReportContext) -> Path:
    """Writes the three files of a report, each whole or not at all.

    Args:
        directory: ``report/`` of a run; made where it is missing.
        results: What `metaplan.evaluation.evaluate` returned.
        context: What the page shows beside the results.

    Returns:
        The path of ``index.html``.

    Raises:
        RunError: A file can't be written.
        MissingDependencyError: Jinja2 or matplotlib is absent. The other two files are written.
    """
    directory.mkdir(parents=True, exist_ok=True)
    write_text(directory / "results.json", results.model_dump_json(indent=2) + "\n")
    write_text(directory / "results.md", markdown(results, context))
    write_text(directory / "index.html", page(results, context))
    return directory / "index.html"
