"""ScienceWorld: science experiments of elementary school, in a simulated house.

`BENCHMARK` is the benchmark of the paper over the simulator of the package ``scienceworld``.
Neither that package nor Java is touched before a task needs them.
"""

from __future__ import annotations

from collections.abc import Mapping

from metaplan.core import Task, digest
from metaplan.environments.contract import Benchmark, Prompts, SetSize
from metaplan.environments.data import BenchmarkData
from metaplan.environments.scienceworld.audit import audit
from metaplan.environments.scienceworld.environment import LoadedExperiment
from metaplan.environments.scienceworld.experts import solve
from metaplan.environments.scienceworld.java import find_java
from metaplan.environments.scienceworld.simulator import installed_version, simplifications
from metaplan.environments.scienceworld.summarise import summarise
from metaplan.environments.scienceworld.task_sets import (
    LISTS,
    OFFICIAL_STEP_LIMIT,
    TASK_SETS,
    TASKS_IN_SET,
    identify,
    jar_checksum,
    list_digest,
    list_tasks,
    step_limit,
)
from metaplan.environments.texts import packaged_text

__all__ = ["BENCHMARK", "LoadedExperiment"]

# The 19 of Figures 7 and 10 (paper, Table 1).
ACTION_TEMPLATES = (
    "open {object}",
    "close {object}",
    "activate {object}",
    "deactivate {object}",
    "connect {object} to {object}",
    "disconnect {object}",
    "use {object} on {object}",
    "look around",
    "examine {object}",
    "look at {object}",
    "read {object}",
    "move {object} to {object}",
    "pick up {object}",
    "pour {object} into {object}",
    "mix {object}",
    "teleport to {room}",
    "focus on {object}",
    "wait",
    "wait1",
)


def _load(task: Task) -> LoadedExperiment:
    return LoadedExperiment(*identify(task))


def _example(_task: Task) -> str:
    return packaged_text(__name__, "examples", "experiment")  # one for all types


def _fingerprint(task_set: str) -> Mapping[str, str]:
    fold, _, paper = task_set.partition("@")
    find_java()  # better missed now than by every worker
    facts = {
        "package": installed_version(),
        "jar": jar_checksum()[:16],
        "simplifications": digest(simplifications("boil"), simplifications("power-component")),
    }
    return facts | {"list": list_digest(fold)} if paper else facts


# Mean step limit over the tasks of ETO's lists.
_PAPER_STEPS = {"train@paper": 32.7, "dev@paper": 38.1, "test@paper": 39.7}

BENCHMARK = Benchmark(
    name="scienceworld",
    description="ScienceWorld: 30 types of science experiments in a simulated house (Table 1)",
    task_sets=TASK_SETS,
    tasks=list_tasks,
    load=_load,
    expert=solve,
    summarise=summarise,
    action_templates=ACTION_TEMPLATES,
    prompts=Prompts.read(__name__),
    example=_example,
    step_limit=step_limit,
    fingerprint=_fingerprint,
    data=BenchmarkData(sources=tuple(LISTS.values()), audit=audit),
    needs=("scienceworld", "scienceworld"),
    sizes={
        name: SetSize(tasks, _PAPER_STEPS.get(name, OFFICIAL_STEP_LIMIT))
        for name, tasks in TASKS_IN_SET.items()
    },
    deterministic=False,  # the order of things in a text
    cpu_per_step_s=0.003,  # benchmarks/scienceworld_speed.py: 2 to 4 ms
)
