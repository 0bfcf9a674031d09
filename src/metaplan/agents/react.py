"""One episode: the ReAct turn loop (Yao et al., 2022; paper, sections 2 and 4.1).

The loop alone counts steps: each reply of the agent is one, a format error too. It enforces the
benchmark's step limit and ends an episode after ten failing turns in a row.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from metaplan.agents.conversation import as_shown, turn_messages
from metaplan.agents.prompting import (
    PromptProfile,
    find_action,
    first_message,
    format_error_text,
)
from metaplan.core import (
    ContextLimitError,
    Dialect,
    EnvironmentFault,
    Episode,
    EpisodeCancelled,
    EpisodeSpec,
    ModelFault,
    Placement,
    StopReason,
    Task,
    Turn,
    UserError,
    digest,
)
from metaplan.environments import Benchmark, Observation, StepResult
from metaplan.models import ChatModel, Completion, Message, Sampling

__all__ = ["INVALID_TURNS_LIMIT", "Agent", "AsyncEnvironment", "run_episode"]

INVALID_TURNS_LIMIT = 10
_STOP = ("\nObservation:",)


class AsyncEnvironment(Protocol):
    """An environment that runs elsewhere (in a worker process)."""

    async def reset(self) -> Observation:
        """See `metaplan.environments.Environment.reset`."""

    async def step(self, action: str) -> StepResult:
        """See `metaplan.environments.Environment.step`."""

    async def close(self) -> None:
        """Frees it; never raises."""


@dataclass(frozen=True, kw_only=True)
class Agent:
    """A chat model with the way in which it is prompted (`π_θ`).

    Attributes:
        model: Answers the chats.
        sampling: Temperature and limits; the seed comes from each episode's key.
        profile: The paper's prompts, or short ones.
        dialect: What a plan is called.
        step_limit: Most steps of an episode, where the benchmark allows more; None takes its limit.
    """

    model: ChatModel
    sampling: Sampling
    profile: PromptProfile = PromptProfile.PAPER
    dialect: Dialect = Dialect.META_PLAN
    step_limit: int | None = None

    @property
    def fingerprint(self) -> str:
        """What shapes this agent's replies: model, sampling. Part of every episode's key."""
        sampling = self.sampling.model_dump(mode="json", exclude={"seed"})
        return digest(dict(self.model.fingerprint), sampling)

    def most_steps(self, benchmark: Benchmark, task: Task) -> int:
        """Most steps of an episode of a task."""
        limit = benchmark.step_limit(task)
        return limit if self.step_limit is None else min(limit, self.step_limit)

    def environment_fingerprint(self, benchmark: Benchmark, task: Task) -> str:
        """What shapes observations and rewards: the benchmark's part, limits, prompts."""
        return self.environment_fingerprints(benchmark, [task])[task.key]

    def environment_fingerprints(
        self, benchmark: Benchmark, tasks: Iterable[Task]
    ) -> dict[str, str]:
        """As `environment_fingerprint`, of many tasks, by key: a task set is read once."""
        facts: dict[str, dict[str, str]] = {}
        prompts = "" if self.profile is PromptProfile.COMPACT else benchmark.prompts.instruction
        prints = {}
        for task in tasks:
            if task.task_set not in facts:
                facts[task.task_set] = dict(benchmark.fingerprint(task.task_set))
            limit = self.most_steps(benchmark, task)
            prints[task.key] = digest(
                facts[task.task_set], limit, self.profile, self.dialect, prompts
            )
        return prints

    def check_placement(self, placement: Placement) -> None:
        """Refuses a placement that the model can't do.

        Raises:
            UserError: ``thought`` needs a model that continues a message.
        """
        if placement is Placement.THOUGHT and not self.model.can_continue:
            raise UserError(
                f"placement 'thought' needs a model that continues a started reply, and "
                f"{self.model.name} does not; use 'instruction' or 'observation'"
            )


async def run_episode(
    spec: EpisodeSpec,
    *,
    agent: Agent,
    benchmark: Benchmark,
    open_environment: Callable[[], Awaitable[AsyncEnvironment]],
) -> Episode:
    """Lets the agent attempt the task once: one sample of equation 5.

    Args:
        spec: The planned episode.
        agent: The model and its prompting.
        benchmark: For prompts and step limit.
        open_environment: Makes the environment of this episode.

    Returns:
        The episode. A fault of model or environment makes it void (`StopReason.is_void`), with
        the cause in words; it is not raised.
    """
    started = time.monotonic()
    state = _EpisodeState(spec, agent, benchmark)
    cause = ""
    try:
        environment = await open_environment()
        try:
            stop_reason = await state.play(environment)
        finally:
            await environment.close()
    except ContextLimitError:
        stop_reason = StopReason.CONTEXT_LIMIT
    except ModelFault as fault:
        stop_reason, cause = StopReason.MODEL_ERROR, str(fault)
    except EpisodeCancelled as fault:
        stop_reason, cause = StopReason.CANCELLED, str(fault)
    except EnvironmentFault as fault:
        stop_reason, cause = StopReason.ENVIRONMENT_ERROR, str(fault)
    return state.episode(stop_reason, cause, duration_s=time.monotonic() - started)


class _EpisodeState:
    """The growing conversation of one episode."""

    def __init__(self, spec: EpisodeSpec, agent: Agent, benchmark: Benchmark) -> None:
        self._spec = spec
        self._agent = agent
        self._benchmark = benchmark
        self._sampling = agent.sampling.model_copy(
            update={"seed": spec.seed, "stop": (*agent.sampling.stop, *_STOP)}
        )
        self._messages: list[Message] = []
        self._turns: list[Turn] = []
        self._reward = 0.0
        self._success = False
        self._prompt_tokens = 0
        self._completion_tokens = 0

    async def play(self, environment: AsyncEnvironment) -> StopReason:
        """Plays to the end; turns are kept as they happen."""
        opening = await environment.reset()
        self._messages.append(
            first_message(self._benchmark, self._spec.task, opening.text, self._agent.profile)
        )
        for _ in range(self._agent.most_steps(self._benchmark, self._spec.task)):
            reply = (await self._ask()).text
            stop_reason = await self._act(reply, environment)
            if stop_reason is not None:
                return stop_reason
        return StopReason.STEP_LIMIT

    async def _ask(self) -> Completion:
        spec = self._spec
        messages = as_shown(self._messages, spec.plan, spec.placement, self._agent.dialect)
        (completion,) = await self._agent.model.complete(messages, self._sampling, session=spec.key)
        self._prompt_tokens += completion.usage.prompt_tokens
        self._completion_tokens += completion.usage.completion_tokens
        return completion

    async def _act(self, reply: str, environment: AsyncEnvironment) -> StopReason | None:
        action = find_action(reply)
        if action is None:
            self._record(
                Turn(
                    reply=reply,
                    action=None,
                    observation=format_error_text(),
                    reward=self._reward,
                    problem="format",
                )
            )
        else:
            result = await environment.step(action)
            self._reward, self._success = result.reward, result.success
            self._record(
                Turn(
                    reply=reply,
                    action=action,
                    observation=result.observation,
                    reward=result.reward,
                    problem=None if result.valid else "invalid",
                )
            )
            if result.success:
                return StopReason.SOLVED
            if result.terminated:
                return StopReason.FAILED
            if result.truncated:
                return StopReason.STEP_LIMIT
        last = self._turns[-INVALID_TURNS_LIMIT:]
        if len(last) == INVALID_TURNS_LIMIT and all(turn.problem for turn in last):
            return StopReason.INVALID_ACTIONS
        return None

    def _record(self, turn: Turn) -> None:
        self._turns.append(turn)
        self._messages += turn_messages(turn.reply, turn.observation)

    def episode(self, stop_reason: StopReason, cause: str, duration_s: float) -> Episode:
        """The finished record."""
        spec = self._spec
        return Episode(
            key=spec.key,
            round=spec.round,
            task_key=spec.task.key,
            environment=spec.environment,
            plan_key=spec.plan.key if spec.plan else None,
            placement=spec.placement,
            agent=spec.agent,
            repetition=spec.repetition,
            turns=tuple(self._turns),
            reward=self._reward,
            success=self._success,
            stop_reason=stop_reason,
            cause=cause,
            prompt_tokens=self._prompt_tokens,
            completion_tokens=self._completion_tokens,
            duration_s=duration_s,
        )
