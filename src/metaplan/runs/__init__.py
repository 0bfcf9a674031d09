"""Runs: a directory that holds one experiment whole, and what its stages share."""

from metaplan.runs.dry_run import DryRun, PlannedStage, estimate_run
from metaplan.runs.files import check_resumable, read_status, write_text
from metaplan.runs.run import Run
from metaplan.runs.sampling import sample_plans
from metaplan.runs.stopping import Interrupted
from metaplan.runs.tasks import choose_tasks

__all__ = [
    "DryRun",
    "Interrupted",
    "PlannedStage",
    "Run",
    "check_resumable",
    "choose_tasks",
    "estimate_run",
    "read_status",
    "sample_plans",
    "write_text",
]
