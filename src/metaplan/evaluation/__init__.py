"""What the episodes say: metrics, intervals over tasks, and paired differences of methods.

`evaluate([Arm(method="none", ...), Arm(method="mpo", ...)]).model_dump_json()` is `results.json`.
"""

from metaplan.evaluation.bootstrap import RESAMPLES, Interval, bootstrap
from metaplan.evaluation.compare import Comparison, compare_agents, compare_planners
from metaplan.evaluation.evaluate import evaluate
from metaplan.evaluation.metrics import COMPARED, METRICS, Metric, TaskMeans, task_means
from metaplan.evaluation.records import (
    SCHEMA,
    Arm,
    Coverage,
    Difference,
    ResultRow,
    Results,
    method_order,
    method_pairs,
)

__all__ = [
    "COMPARED",
    "METRICS",
    "RESAMPLES",
    "SCHEMA",
    "Arm",
    "Comparison",
    "Coverage",
    "Difference",
    "Interval",
    "Metric",
    "ResultRow",
    "Results",
    "TaskMeans",
    "bootstrap",
    "compare_agents",
    "compare_planners",
    "evaluate",
    "method_order",
    "method_pairs",
    "task_means",
]
