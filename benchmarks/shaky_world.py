"""A world that breaks by chance, and a run in it: what `soak.py` plays.

    python -m shaky_world RUN_DIRECTORY

Its environment raises, hangs, kills its worker and returns what can't be pickled; its model fails.
What a plan is worth is known all the same: see `expected`.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import random
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

from metaplan.agents import Agent, PromptProfile, first_message, insert_plan
from metaplan.core import EpisodeSpec, MetaPlan, ModelFault, Placement, Task
from metaplan.environments import Benchmark, Observation, Prompts, StepResult
from metaplan.models import Completion, Message, Sampling, ServedModel, ServedSettings
from metaplan.recipes import RunConfig
from metaplan.runs import Interrupted, Run

PLANS_PER_TASK, EPISODES_PER_PLAN, LENGTH = 5, 5, 4
SERVED_SHARE = 0.1
MODEL_FAULTS = 0.005
STEP_FAULTS = {"raise": 0.004, "unpicklable": 0.002, "crash": 0.001, "hang": 0.0002}
"""Probability per step. The last two cost the worker."""
RECIPE: dict[str, Any] = {
    "name": "soak",
    "benchmark": "soak",
    "tasks": {"train": {"task_set": "all"}, "evaluate": {"all": {"task_set": "all"}}},
    "agent": {"profile": "compact"},
    "evaluate": {"methods": ["none"]},
}


# -- a world in which a plan's worth is known


def luck(*parts: str) -> float:
    """A number in [0, 1) that depends on the parts alone."""
    return int(hashlib.sha256("/".join(parts).encode()).hexdigest()[:8], 16) / 2**32


def action(text: str, turn: int) -> str:
    """What the agent does in a turn, given the opening message with the plan."""
    return "forward" if luck(text, str(turn)) < 0.7 else "stumble"


def reply(messages: Sequence[Message]) -> str:
    """The agent's policy."""
    turn = sum(message["role"] == "assistant" for message in messages)
    return f"Thought: I walk.\nAction: {action(messages[0]['content'], turn)}"


class Corridor:
    """`LENGTH` steps; the reward is the share of them that went forward."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._steps = self._forward = 0

    @property
    def opening(self) -> str:
        """What the agent sees first."""
        return f"You are in corridor {self._task.key}. Your task is to walk."

    def reset(self) -> Observation:
        break_something()
        return Observation(text=self.opening)

    def step(self, action: str) -> StepResult:
        fault = break_something()
        self._steps += 1
        self._forward += action == "forward"
        reward = self._forward / LENGTH
        done = self._steps == LENGTH
        info = {"fault": fault} if fault else {}
        text = f"You did {action}. " + "The corridor is long. " * 20
        return StepResult(text, reward, done, False, done and reward == 1.0, info=info)

    def close(self) -> None:
        """Nothing to free."""

    def make(self) -> Corridor:
        """Itself is what is loaded."""
        return Corridor(self._task)


def break_something() -> object:
    """Lets this step break, by chance; returns what can't be pickled, or nothing."""
    draw = random.random()
    for name, share in STEP_FAULTS.items():
        lethal = name in {"crash", "hang"}
        if (draw := draw - share) < 0 and (os.environ["SOAK_LETHAL"] == "1" or not lethal):
            match name:
                case "raise":
                    raise RuntimeError("the corridor is closed")
                case "unpicklable":
                    return lambda: None
                case "crash":
                    os.kill(os.getpid(), signal.SIGKILL)
                case "hang":
                    time.sleep(3600)
    return None


def tasks(count: int) -> list[Task]:
    """So many corridors."""
    return [
        Task(key=f"soak/{number:05}", benchmark="soak", task_set="all", task_type="corridor")
        for number in range(count)
    ]


BENCHMARK = Benchmark(
    name="soak",
    description="A corridor that breaks.",
    task_sets={"all": "corridors"},
    tasks=lambda _: tasks(1),  # the run plans its episodes itself
    load=Corridor,
    expert=None,
    action_templates=("forward", "stumble"),
    prompts=Prompts(instruction="{example}{task_instruction}", planner="{task}", collection=""),
    example=lambda _: "none",
    step_limit=lambda _: LENGTH,
    fingerprint=lambda _: {"version": "1"},
)


# -- the run


class ShakyModel:
    """A scripted model that fails by chance, and asks the server for its share of the episodes."""

    name = "shaky"
    can_continue = False
    fingerprint: Mapping[str, str] = {"model": "shaky"}

    def __init__(self, url: str) -> None:
        self._served = ServedModel(ServedSettings(model="shaky", urls=(url,), timeout_s=2.0))

    async def complete(
        self,
        messages: Sequence[Message],
        sampling: Sampling,
        *,
        n: int = 1,
        session: str | None = None,
    ) -> list[Completion]:
        """See `ChatModel.complete`."""
        if luck(session or "") < SERVED_SHARE:
            return await self._served.complete(messages, sampling, n=n, session=session)
        await asyncio.sleep(0.002)
        if random.random() < MODEL_FAULTS:
            raise ModelFault("the model is tired")
        return [Completion(text=reply(messages))]

    async def close(self) -> None:
        """Closes the client."""
        await self._served.close()


def planned(episodes: int) -> list[EpisodeSpec]:
    """M plans of each task, N episodes of each plan."""
    count = -(-episodes // (PLANS_PER_TASK * EPISODES_PER_PLAN))
    specs = [
        EpisodeSpec(
            task=task,
            environment="soak",
            plan=MetaPlan(steps=(f"Walk in manner {number}.",)),
            placement=Placement.INSTRUCTION,
            agent="soak",
            repetition=repetition,
        )
        for task in tasks(count)
        for number in range(PLANS_PER_TASK)
        for repetition in range(EPISODES_PER_PLAN)
    ]
    return specs[:episodes]


def expected(episodes: int) -> dict[str, float]:
    """Rewards by key, as in a world without faults."""
    rewards = {}
    for spec in planned(episodes):
        text = Corridor(spec.task).opening
        opening = first_message(BENCHMARK, spec.task, text, PromptProfile.COMPACT)
        (message,) = insert_plan([opening], spec.plan)
        steps = [action(message["content"], turn) for turn in range(LENGTH)]
        rewards[spec.key] = steps.count("forward") / LENGTH
    return rewards


def main() -> int:
    """Starts the run or goes on with it; returns the exit code, as the command line does."""
    runtime = json.loads(os.environ["SOAK_RUNTIME"])
    model = ShakyModel(os.environ["SOAK_URL"])
    agent = Agent(model=model, sampling=Sampling(), profile=PromptProfile.COMPACT)
    try:
        with Run(RunConfig.model_validate(RECIPE | {"runtime": runtime}), sys.argv[1]) as run:
            specs = planned(int(os.environ["SOAK_EPISODES"]))
            try:
                run.play(specs, agent, purpose="explore", label="soak")
            finally:
                run.wait(model.close())
    except Interrupted as interrupted:
        return 128 + interrupted.signal
    return 0


if __name__ == "__main__":
    sys.exit(main())
