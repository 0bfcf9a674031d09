"""The nouns of MPO as frozen records (paper, section 2)."""

from __future__ import annotations

from enum import StrEnum
from functools import cached_property
from typing import Literal

from pydantic import Field

from metaplan.core.keys import episode_key, seed_from
from metaplan.core.plans import MetaPlan
from metaplan.core.record import Record

__all__ = [
    "Episode",
    "EpisodeSpec",
    "ExpertStep",
    "ExpertTrajectory",
    "Placement",
    "PlanScore",
    "PreferencePair",
    "StopReason",
    "Task",
    "Turn",
]


class Task(Record):
    """One instance to solve (`u`).

    Attributes:
        key: Durable name, the same on every machine, e.g. ``alfworld/valid_unseen/<task>/<trial>``.
        benchmark: Name of the registered benchmark.
        task_set: The split it comes from, e.g. ``train``.
        task_type: The benchmark's own kind, e.g. ``pick_clean_then_place_in_recep``.
        instruction: What planner and agent read: the task and what the agent sees first. Empty
            until a reset has shown it.
        source: What the benchmark needs to load the task (a relative path, a variation number).
    """

    key: str
    benchmark: str
    task_set: str
    task_type: str
    instruction: str = ""
    source: dict[str, str] = Field(default_factory=dict)


class Placement(StrEnum):
    """Where the plan goes (paper, section 5.2 and Table 4)."""

    INSTRUCTION = "instruction"
    THOUGHT = "thought"
    OBSERVATION = "observation"


class StopReason(StrEnum):
    """Why an episode ended. The last three make it void: it never enters a mean."""

    SOLVED = "solved"
    FAILED = "failed"
    STEP_LIMIT = "step_limit"
    INVALID_ACTIONS = "invalid_actions"
    CONTEXT_LIMIT = "context_limit"
    MODEL_ERROR = "model_error"
    ENVIRONMENT_ERROR = "environment_error"
    CANCELLED = "cancelled"

    @property
    def is_void(self) -> bool:
        """Whether the episode says nothing about agent and plan."""
        return self in {StopReason.MODEL_ERROR, StopReason.ENVIRONMENT_ERROR, StopReason.CANCELLED}


class EpisodeSpec(Record):
    """A planned episode: everything that its key names.

    Attributes:
        environment: Fingerprint of what shapes observations and rewards.
        placement: None where there is no plan.
        agent: Fingerprint of the agent's model and sampling.
        repetition: 0 ≤ repetition < N.
    """

    round: int = 0
    task: Task
    environment: str
    plan: MetaPlan | None
    placement: Placement | None
    agent: str
    repetition: int = Field(default=0, ge=0)

    @cached_property
    def key(self) -> str:
        """The episode's durable key."""
        return episode_key(
            round=self.round,
            task_key=self.task.key,
            environment=self.environment,
            plan_key=self.plan.key if self.plan else None,
            placement=self.placement,
            agent=self.agent,
            repetition=self.repetition,
        )

    @property
    def seed(self) -> int:
        """The episode's random seed, in [0, 2³¹)."""
        return seed_from(self.key)


class Turn(Record):
    """One reply of the agent and what it led to. Every reply is one step.

    Attributes:
        reply: The completion as the model gave it.
        action: The action in it, as sent to the environment; None after a format error.
        observation: What the agent saw next.
        reward: Task completion rate so far, in [0, 1].
        problem: ``format`` (no action to be found), ``invalid`` (the environment did not
            accept it), or None.
    """

    reply: str
    action: str | None
    observation: str
    reward: float = Field(ge=0.0, le=1.0)
    problem: Literal["format", "invalid"] | None = None


class Episode(Record):
    """One attempt of an agent at a task (`e`), finished or void.

    Attributes:
        key: See `metaplan.core.keys.episode_key`.
        reward: `r(u, e)` in [0, 1], the task completion rate.
        success: The environment's own verdict.
        cause: Of a void episode, what went wrong, in words.
        prompt_tokens: Sum over turns, as the model counted them.
        duration_s: Wall-clock seconds.
    """

    key: str
    round: int = 0
    task_key: str
    environment: str
    plan_key: str | None
    placement: Placement | None
    agent: str
    repetition: int = Field(ge=0)
    turns: tuple[Turn, ...]
    reward: float = Field(ge=0.0, le=1.0)
    success: bool
    stop_reason: StopReason
    cause: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    duration_s: float = 0.0

    @property
    def steps(self) -> int:
        """Number of replies of the agent."""
        return len(self.turns)

    @property
    def format_errors(self) -> int:
        """Replies in which no action could be found."""
        return sum(turn.problem == "format" for turn in self.turns)

    @property
    def invalid_actions(self) -> int:
        """Actions that the environment did not accept."""
        return sum(turn.problem == "invalid" for turn in self.turns)


class PlanScore(Record):
    """`Q(p)`: the mean reward of N episodes with a plan (paper, equation 6).

    Attributes:
        mean: In [0, 1].
        standard_error: Of the mean; 0 for a single episode or equal rewards.
        count: Episodes that entered the mean (void ones never do).
        merged: Whether the plan was merged from those that the planner drew for the task.
    """

    task_key: str
    plan: MetaPlan
    mean: float = Field(ge=0.0, le=1.0)
    standard_error: float = Field(ge=0.0)
    count: int = Field(ge=1)
    merged: bool = False


class PreferencePair(Record):
    """`(u, p_w, p_l)`: best and worst plan of one task (paper, equation 7)."""

    task_key: str
    chosen: MetaPlan
    rejected: MetaPlan
    chosen_score: float = Field(ge=0.0, le=1.0)
    rejected_score: float = Field(ge=0.0, le=1.0)


class ExpertStep(Record):
    """One action of an expert and the observation that followed.

    Attributes:
        mistake: Made so that what follows shows how one recovers: agents read it, but don't learn
            to do it (noise in demonstrations as in DART, Laskey et al., 2017).
    """

    action: str
    observation: str
    thought: str = ""
    mistake: bool = False


class ExpertTrajectory(Record):
    """A solved task, step by step, as data for seed plans and agent tuning.

    Attributes:
        task: With its instruction filled in.
        source: Who acted: ``recorded``, ``handcoded``, ``walkthrough`` …
        plan: What the expert was shown, if anything.
    """

    task: Task
    steps: tuple[ExpertStep, ...]
    reward: float = Field(ge=0.0, le=1.0)
    success: bool
    source: str
    plan: MetaPlan | None = None
