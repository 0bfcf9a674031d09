"""A third party's benchmark: worker processes find it by its entry point, like any other."""

import os
import time
from pathlib import Path

from metaplan.core import EnvironmentFault, ExpertTrajectory, MetaPlan, Task
from metaplan.environments import Benchmark, Observation, Prompts, StepResult

LOADS = []
OPEN = set()


class Shaky:
    def __init__(self, task):
        self.task = task
        OPEN.add(id(self))

    def reset(self):
        faults = int(self.task.source.get("faults", "0"))
        if faults:  # the first so many resets fail, over all processes
            with Path(self.task.source["log"]).open("a+") as log:
                log.write("x")
                if log.tell() <= faults:
                    raise EnvironmentFault(f"reset number {log.tell()} fails")
        return Observation(text=f"You are in {self.task.key}. Your task is to: win.")

    def step(self, action):
        if action == "hang":
            time.sleep(600)
        if action == "spin":
            while True:
                pass
        if action == "crash":
            os._exit(3)
        if action == "raise":
            raise RuntimeError("the simulator is confused")
        if action == "unpicklable":
            return self.result("", info={"function": lambda: None})
        if action == "win":
            return StepResult("You won.", 1.0, True, False, True)
        facts = {"loads": len(LOADS), "open": len(OPEN), "pid": os.getpid()}
        return self.result(f"You did {action}.", info=facts)

    def result(self, text, info):
        return StepResult(text, 0.0, False, False, False, info=info)

    def close(self):
        OPEN.discard(id(self))


class Loaded:
    def __init__(self, task):
        self.task = task

    def make(self):
        return Shaky(self.task)


def load(task):
    LOADS.append(task.key)
    if task.source.get("unreadable"):
        raise ValueError("the file is empty")
    return Loaded(task)


def tasks(task_set):
    return [
        Task(key=f"shaky/{task_set}/{i}", benchmark="shaky", task_set=task_set, task_type="one")
        for i in range(4)
    ]


def expert(task):
    if task.key.endswith("1"):
        raise RuntimeError("the expert is lost")
    return ExpertTrajectory(task=task, steps=(), reward=0.0, success=False, source="test")


BENCHMARK = Benchmark(
    name="shaky",
    description="Breaks on demand.",
    task_sets={"all": "four tasks"},
    tasks=tasks,
    load=load,
    expert=expert,
    summarise=lambda trajectory: MetaPlan(steps=("Win.",)),
    action_templates=("win", "wait"),
    prompts=Prompts(
        instruction="{example}{task_instruction}", planner="{task}", collection="{task}"
    ),
    example=lambda task: "none",
    step_limit=lambda task: 5,
    fingerprint=lambda task_set: {"version": "1"},
)
