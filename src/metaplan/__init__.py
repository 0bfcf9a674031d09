"""Metaplan: make LLM agents better with optimized meta plans (MPO).

The planner that a run has trained is used in one's own agent in three lines::

    planner = metaplan.load_planner("runs/demo/planners/mpo")
    plan = planner.plan("You are in the middle of a room. … Your task is to: put a mug in fridge.")
    messages = metaplan.insert_plan(messages, plan, metaplan.Placement.INSTRUCTION)
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from metaplan.agents import insert_plan
    from metaplan.core import MetaPlan, Placement, Task
    from metaplan.pipeline import run_mpo
    from metaplan.planners import Planner, load_planner
    from metaplan.recipes import load_recipe
    from metaplan.reports import load_results

__version__ = "0.1.0"
__all__ = [
    "MetaPlan",
    "Placement",
    "Planner",
    "Task",
    "insert_plan",
    "load_planner",
    "load_recipe",
    "load_results",
    "run_mpo",
]

_HOMES = {
    "MetaPlan": "core",
    "Placement": "core",
    "Planner": "planners",
    "Task": "core",
    "insert_plan": "agents",
    "load_planner": "planners",
    "load_recipe": "recipes",
    "load_results": "reports",
    "run_mpo": "pipeline",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
