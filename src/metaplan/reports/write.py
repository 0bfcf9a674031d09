"""Writes a run's report: `results.json`, `results.md` and `index.html`."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from metaplan.evaluation import Results
from metaplan.reports.context import ReportContext
from metaplan.reports.markdown import markdown
from metaplan.reports.page import page

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
        MissingDependencyError: Jinja2 or matplotlib is absent. The other two files are written.
    """
    directory.mkdir(parents=True, exist_ok=True)
    _write(directory / "results.json", results.model_dump_json(indent=2) + "\n")
    _write(directory / "results.md", markdown(results, context))
    _write(directory / "index.html", page(results, context))
    return directory / "index.html"


def _write(path: Path, text: str) -> None:
    """Replaces a file in one move, so that no reader ever sees half of it."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
        temporary.chmod(0o644)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
