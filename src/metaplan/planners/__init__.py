"""Meta planners: prompted and fine-tuned; prompt texts as data files; plan linting."""

from metaplan.planners.datasets import pair_line, plan_line, read_jsonl, write_jsonl, wrong_line
from metaplan.planners.linting import PlanProblem, lint_plan
from metaplan.planners.planner import Planner, PlannerPrompt, PlanSample, load_planner

__all__ = [
    "PlanProblem",
    "PlanSample",
    "Planner",
    "PlannerPrompt",
    "lint_plan",
    "load_planner",
    "pair_line",
    "plan_line",
    "read_jsonl",
    "write_jsonl",
    "wrong_line",
]
