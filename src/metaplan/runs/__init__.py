"""Runs: a directory that holds one experiment whole, and what its stages share."""

from metaplan.runs.dry_run import DryRun, PlannedStage, estimate_run
from metaplan.runs.files import check_resumable, read_status, settle, write_text
from metaplan.runs.run import Run
from metaplan.runs.sampling import sample_plans
from metaplan.runs.stopping import Interrupted
from metaplan.runs.tasks import choose_tasks, in_order_of_choice
from metaplan.runs.trainings import conversation_beside, demonstrated_conversation

__all__ = [
    "DryRun",
    "Interrupted",
    "PlannedStage",
    "Run",
    "check_resumable",
    "choose_tasks",
    "conversation_beside",
    "demonstrated_conversation",
    "estimate_run",
    "in_order_of_choice",
    "read_status",
    "sample_plans",
    "settle",
    "write_text",
]
