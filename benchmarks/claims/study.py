"""What a study is: one recipe, several seeds of the whole pipeline, several agents."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import Field, ValidationError

from metaplan.core import ConfigError, Record
from metaplan.recipes import RunConfig, load_recipe
from metaplan.recipes.config import AgentConfig, set_fields

__all__ = ["FOLLOWER", "MAIN", "Study", "StudyPlan", "load_study"]

MAIN = "main"
"""The agent whose rewards optimize the planner."""
FOLLOWER = "follower"
"""In place of a path: the rule-based plan follower."""

_SEEDS = ("seed", "sft.seed", "rft.seed", "dpo.seed", "planner.scratch.seed")


class CurvePlan(Record):
    """How far C6 goes.

    Attributes:
        seeds: So many of the first seeds.
        counts: Values of M and of N, with the recipe's own among them; each task gets the largest
            number of plans, and each plan the largest number of episodes.
    """

    seeds: int = Field(ge=1)
    counts: tuple[int, ...] = Field(min_length=2)


class StudyPlan(Record):
    """A study as its YAML file has it.

    Attributes:
        recipe: A built-in recipe or a file.
        settings: Fields of the recipe with other values, ``a.b.c: value``.
        seeds: Of the whole pipeline: the choice of training tasks, the first weights, the order of
            the data, the sampled plans.
        agents: Name to the directory of a local model, the name of a built-in one, or
            ``follower``; `MAIN` is the one whose rewards optimize the planner. Without it the
            recipe's own agent is.
        transfer_splits: Splits on which C4, C5, C6 and C7 are played.
        curves: Of C6.
    """

    recipe: str
    settings: dict[str, Any] = Field(default_factory=dict)
    seeds: tuple[int, ...] = Field(min_length=1)
    agents: dict[str, str] = Field(default_factory=dict)
    transfer_splits: tuple[str, ...] = Field(min_length=1)
    curves: CurvePlan


@dataclass(frozen=True, kw_only=True)
class Study:
    """A study in its directory.

    Attributes:
        out: Where its run directories and results are.
        workload: ``full`` or ``quick``.
        plan: What is done.
        config: The recipe with the plan's settings and the main agent; of no seed yet.
        agents: By name, the main one first; no two alike.
    """

    out: Path
    workload: str
    plan: StudyPlan
    config: RunConfig
    agents: Mapping[str, AgentConfig]

    @property
    def splits(self) -> tuple[str, ...]:
        """Names of the splits of the report."""
        return tuple(self.config.tasks.evaluate)

    @property
    def others(self) -> tuple[str, ...]:
        """Agents with which no plan was optimized."""
        return tuple(name for name in self.agents if name != MAIN)

    def pipeline(self, seed: int) -> tuple[RunConfig, Path]:
        """Configuration and directory of the run that trains a seed's planners."""
        return _with(self.config, dict.fromkeys(_SEEDS, seed)), self.out / "seeds" / str(seed)

    def arena(self, agent: str) -> tuple[RunConfig, Path]:
        """Configuration and directory of the run in which an agent plays all its episodes.

        The tasks are those of the recipe's own seed, whatever seed wrote the plans.
        """
        settings = {
            "name": f"{self.config.name}-{agent}",
            "agent": self.agents[agent].model_dump(mode="json"),
            "evaluate.methods": ["none"],
        }
        return _with(self.config, settings), self.out / "agents" / agent


def load_study(
    path: Path,
    out: Path,
    *,
    workload: str = "full",
    seeds: tuple[int, ...] = (),
    agents: Mapping[str, str | None] | None = None,
) -> Study:
    """Reads a study's file.

    Args:
        path: YAML, the fields of `StudyPlan`, and ``quick``: what is other for that workload.
        out: Directory of the study.
        workload: ``full`` or ``quick``.
        seeds: In place of the file's, if any.
        agents: Before the file's; None is not given.

    Raises:
        ConfigError: A field is wrong; the message names the file and the field.
    """
    data = _read(path)
    quick = data.pop("quick", {})
    if workload == "quick":
        settings = data.get("settings", {}) | quick.get("settings", {})
        data = data | quick | {"settings": settings}
    if seeds:
        data["seeds"] = seeds
    given = {name: said for name, said in (agents or {}).items() if said is not None}
    data["agents"] = data.get("agents", {}) | given
    try:
        plan = StudyPlan.model_validate(data)
        config = _with(load_recipe(plan.recipe), plan.settings)
        playing = _agents(plan.agents, config.agent)
        config = config.model_copy(update={"agent": playing[MAIN]})
    except ValidationError as error:
        lines = [f"  {'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
        raise ConfigError(f"{path} can't be used:\n" + "\n".join(lines)) from None
    strange = {"unseen", *plan.transfer_splits} - set(config.tasks.evaluate)
    if strange:
        raise ConfigError(f"{path}: the recipe has no split {', '.join(sorted(strange))}")
    own = {config.explore.plans_per_task, config.explore.episodes_per_plan}
    if not own <= set(plan.curves.counts):
        raise ConfigError(f"{path}: curves.counts must have the recipe's own M and N, {own}")
    return Study(out=out, workload=workload, plan=plan, config=config, agents=playing)


def _read(path: Path) -> dict[str, Any]:
    try:
        data = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"can't read {path}: {error}") from None
    if not isinstance(data, dict):
        raise ConfigError(f"{path} must be a mapping of field names to values")
    return data


def _agents(named: Mapping[str, str], own: AgentConfig) -> dict[str, AgentConfig]:
    """All agents, the follower among them; they differ in the model alone."""
    main = _agent(named[MAIN], own) if MAIN in named else own
    found = {MAIN: main}
    for name, said in (dict(named) | {FOLLOWER: FOLLOWER}).items():
        agent = _agent(said, own)
        if name != MAIN and agent not in found.values():
            found[name] = agent
    return found


def _agent(said: str, like: AgentConfig) -> AgentConfig:
    model, path = ("follower", None) if said == FOLLOWER else ("local", said)
    fields = like.model_dump(mode="json") | {"model": model, "path": path, "served": None}
    return AgentConfig.model_validate(fields)


def _with(config: RunConfig, settings: Mapping[str, Any]) -> RunConfig:
    return RunConfig.model_validate(set_fields(config.model_dump(mode="json"), settings))
