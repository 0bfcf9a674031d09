"""ALFWorld: household tasks as text games, in both of its grammars.

`LoadedGame` plays any `.tw-pddl` game; `BENCHMARK` is the benchmark of the paper over the games in
the data directory. Nothing of TextWorld is imported before a game needs it.
"""

from __future__ import annotations

from collections.abc import Mapping

from metaplan.core import ExpertTrajectory, MetaPlan, Task, digest
from metaplan.environments.alfworld.audit import audit
from metaplan.environments.alfworld.experts import solve
from metaplan.environments.alfworld.game import LoadedGame, grammar_of, respell
from metaplan.environments.alfworld.games import (
    GAMES_IN_SPLIT,
    SOURCES,
    TASK_SETS,
    TASK_TYPES,
    game_path,
    list_tasks,
    read_game,
    resolve,
)
from metaplan.environments.alfworld.goals import looks_for, with_other_goal
from metaplan.environments.alfworld.merging import merge
from metaplan.environments.alfworld.person import act_as_expert
from metaplan.environments.alfworld.summarise import summarise
from metaplan.environments.contract import Benchmark, Prompts, SetSize
from metaplan.environments.data import BenchmarkData
from metaplan.environments.texts import packaged_text

__all__ = ["BENCHMARK", "STEP_LIMIT", "TASK_TYPES", "LoadedGame", "grammar_of", "respell"]

STEP_LIMIT = 30
"""Replies of the agent in one episode (the authors' code)."""

# The nine of Figures 8 and 11 and the four that the games know beside them: the 13 of Table 1.
# What the figures call "toggle" is "use" in the games; the environment understands both.
ACTION_TEMPLATES = (
    "go to {receptacle}",
    "take {object} from {receptacle}",
    "put {object} in/on {receptacle}",
    "open {receptacle}",
    "close {receptacle}",
    "use {object}",
    "clean {object} with {receptacle}",
    "heat {object} with {receptacle}",
    "cool {object} with {receptacle}",
    "slice {object} with {object}",
    "examine {something}",
    "inventory",
    "look",
)


def _load(task: Task) -> LoadedGame:
    return LoadedGame(read_game(game_path(task)))


def _example(task: Task) -> str:
    return packaged_text(__name__, "examples", task.task_type)


def _fingerprint(task_set: str) -> Mapping[str, str]:
    _, grammar = resolve(task_set)
    keys = [task.key for task in list_tasks(task_set)]
    return {"grammar": grammar, "games": digest(keys), "respelling": "1"}


def _demonstrate(
    task: Task, person: int | None, plan: MetaPlan | None, varied: bool = False
) -> ExpertTrajectory:
    return act_as_expert(task, _load(task), person=person, plan=plan, varied=varied)


BENCHMARK = Benchmark(
    name="alfworld",
    description="ALFWorld: six types of household tasks as text games (paper, Table 1)",
    task_sets=TASK_SETS,
    tasks=list_tasks,
    load=_load,
    expert=solve,
    demonstrate=_demonstrate,
    summarise=summarise,
    with_other_goal=with_other_goal,
    looks_for=looks_for,
    merge=merge,
    action_templates=ACTION_TEMPLATES,
    prompts=Prompts.read(__name__),
    example=_example,
    step_limit=lambda task: STEP_LIMIT,  # noqa: ARG005 (the same for all tasks)
    fingerprint=_fingerprint,
    needs=("alfworld", "alfworld"),
    data=BenchmarkData(sources=tuple(source.archive for source in SOURCES), audit=audit),
    sizes={name: SetSize(GAMES_IN_SPLIT[name.partition("@")[0]], STEP_LIMIT) for name in TASK_SETS},
)
