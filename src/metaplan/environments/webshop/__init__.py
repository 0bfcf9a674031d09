"""WebShop: buying what an instruction asks for, in a shop of text pages (Yao et al., 2022).

`BENCHMARK` is the benchmark of the paper over WebShop's official data files, and over a small shop
of our own that needs none. Pages, search order and reward are those of the official
implementation; docs/webshop.md says where they are not, and why.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from metaplan.core import Task
from metaplan.environments.contract import Benchmark, Prompts, SetSize
from metaplan.environments.data import BenchmarkData
from metaplan.environments.texts import packaged_text
from metaplan.environments.webshop.audit import audit
from metaplan.environments.webshop.environment import LoadedGoal, Mode
from metaplan.environments.webshop.experts import STEP_LIMIT, solve
from metaplan.environments.webshop.files import SOURCES
from metaplan.environments.webshop.shop import open_shop
from metaplan.environments.webshop.summarise import summarise
from metaplan.environments.webshop.task_sets import (
    TASK_SETS,
    TASKS_IN_SET,
    goal_of,
    list_tasks,
    shop_of,
)
from metaplan.environments.webshop.website import serve

__all__ = ["BENCHMARK", "STEP_LIMIT", "LoadedGoal", "load"]

# The eight of Table 1, as WebShop's own paper counts them.
ACTION_TEMPLATES = (
    "search[{keywords}]",
    "click[Back to Search]",
    "click[Next >]",
    "click[{product}]",
    "click[{option}]",
    "click[{Description, Features or Reviews}]",
    "click[< Prev]",
    "click[Buy Now]",
)

_RULES = "1"
"""Counts up with every change of pages, actions, reward or price caps."""


def load(task: Task, mode: Mode = "text") -> LoadedGoal:
    """Prepares a task.

    Args:
        task: Of one of the task sets.
        mode: ``text`` as in the paper, or ``text_rich``: buttons are marked.

    Raises:
        DataError: There is no such task, or its data is missing.
    """
    return LoadedGoal(*goal_of(task), mode)


def _example(_task: Task) -> str:
    return packaged_text(__name__, "examples", "shopping")  # one for all


def _fingerprint(task_set: str) -> Mapping[str, str]:
    shop = open_shop(shop_of(task_set))
    return {
        "rules": _RULES,
        "observation": "text",
        "nouns": shop.tagger.name,
        **shop.catalogue.facts,
    }


def _serve(task: Task, port: int, announce: Callable[[str], None]) -> None:
    serve(load(task), STEP_LIMIT, port, announce)


BENCHMARK = Benchmark(
    name="webshop",
    description="WebShop: buying what an instruction asks for, in a shop of text pages (Table 1)",
    task_sets=TASK_SETS,
    tasks=list_tasks,
    load=load,
    expert=solve,
    summarise=summarise,
    action_templates=ACTION_TEMPLATES,
    prompts=Prompts.read(__name__),
    example=_example,
    step_limit=lambda task: STEP_LIMIT,  # noqa: ARG005 (the same for all goals)
    fingerprint=_fingerprint,
    data=BenchmarkData(sources=SOURCES, audit=audit),
    sizes={name: SetSize(tasks, STEP_LIMIT) for name, tasks in TASKS_IN_SET.items()},
    serve=_serve,
)
