"""Results for people: one self-contained HTML page, Markdown, and tables for the terminal."""

from metaplan.reports.card import write_card
from metaplan.reports.context import ExampleEpisode, ExamplePlans, ReportContext, RunFacts
from metaplan.reports.report import load_results, report
from metaplan.reports.terminal import differences_table, render_episode, results_table
from metaplan.reports.write import write_report

__all__ = [
    "ExampleEpisode",
    "ExamplePlans",
    "ReportContext",
    "RunFacts",
    "differences_table",
    "load_results",
    "render_episode",
    "report",
    "results_table",
    "write_card",
    "write_report",
]
