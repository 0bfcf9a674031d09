"""A small made-up environment, and what the suite says when one thing in it is wrong."""

from dataclasses import dataclass, field, replace

import pytest

from metaplan.core import EnvironmentFault, ExpertStep, ExpertTrajectory, Task
from metaplan.environments import (
    Benchmark,
    Observation,
    Prompts,
    StepResult,
    check_environment,
)


class Door:
    """Opens with 'push'."""

    def __init__(self, broken, shared):
        self.broken = broken
        self.shared = shared
        self.open = False
        self.closed = False

    def reset(self):
        return Observation("" if self.broken == "reset" else "A door. Your task: open it.")

    def step(self, action):
        self.shared["steps"] += 1
        if self.broken == "crash" and "🍎" in action:
            raise UnicodeEncodeError("ascii", action, 0, 1, "no")
        if self.broken == "fault" and "🍎" in action:
            raise EnvironmentFault("it fell over")
        valid = action == "push" or (self.broken == "valid" and not action.strip())
        self.open |= action == "push"
        text = "It opens." if action == "push" else "Nothing happens."
        if self.broken == "shared":
            text += f" {self.shared['steps']}"
        return StepResult(
            observation=text,
            reward=(2.0 if self.broken == "reward" else 1.0) * self.open,
            terminated=self.open and self.broken != "success",
            truncated=False,
            success=self.open and self.broken != "expert",
            valid=valid,
            info={"set": {1}} if self.broken == "info" else {},
        )

    def close(self):
        if self.broken == "close" and self.closed:
            raise RuntimeError("closed already")
        self.closed = True


@dataclass
class LoadedDoor:
    broken: str = ""
    shared: dict = field(default_factory=lambda: {"steps": 0})

    def make(self):
        return object() if self.broken == "make" else Door(self.broken, self.shared)


TASK = Task(key="doors/1", benchmark="doors", task_set="all", task_type="door")


def door_benchmark(broken=""):
    return Benchmark(
        name="doors",
        description="Doors to push.",
        task_sets={"all": "one door"},
        tasks=lambda task_set: (TASK,),
        load=lambda task: LoadedDoor(broken),
        expert=lambda task: ExpertTrajectory(
            task=task,
            steps=(ExpertStep(action="push", observation="It opens."),),
            reward=1.0,
            success=True,
            source="by hand",
        ),
        action_templates=("push",),
        prompts=Prompts(
            instruction="{example} {task_instruction}",
            planner="{task}",
            collection="{task} {conversation}",
        ),
        example=lambda task: "Action: push",
        step_limit=lambda task: 3,
        fingerprint=lambda task_set: {"version": "1"},
    )


def test_a_sound_benchmark_has_no_findings():
    assert check_environment(door_benchmark()) == ()


def test_a_sound_loaded_task_has_no_findings():
    assert check_environment(LoadedDoor(), actions=["push"]) == ()


@pytest.mark.parametrize(
    ("broken", "rule"),
    [
        ("reset", "reset"),
        ("crash", "step"),
        ("fault", "step"),
        ("valid", "valid"),
        ("shared", "determinism"),
        ("reward", "reward"),
        ("success", "success"),
        ("info", "step"),
        ("close", "close"),
        ("make", "make"),
    ],
)
def test_a_broken_environment_is_found_out(broken, rule):
    findings = check_environment(LoadedDoor(broken), actions=["push"])
    assert rule in {finding.rule for finding in findings}


def test_an_expert_that_does_not_solve_the_task_is_found_out():
    assert [finding.rule for finding in check_environment(door_benchmark("expert"))] == ["expert"]


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"task_sets": {}}, "task sets"),
        ({"tasks": lambda task_set: ()}, "tasks"),
        ({"tasks": lambda task_set: (TASK, TASK)}, "tasks"),
        ({"name": "windows"}, "task key"),
        ({"action_templates": ()}, "action templates"),
        ({"example": lambda task: " "}, "example"),
        ({"step_limit": lambda task: 0}, "step limit"),
        ({"fingerprint": lambda task_set: {"version": 1}}, "fingerprint"),
        ({"prompts": Prompts(instruction="", planner="{task}", collection="")}, "prompts"),
    ],
)
def test_a_broken_record_is_found_out(change, rule):
    findings = check_environment(replace(door_benchmark(), **change))
    assert rule in {finding.rule for finding in findings}


def test_texts_may_differ_where_the_benchmark_says_so():
    benchmark = replace(door_benchmark("shared"), deterministic=False)
    assert check_environment(benchmark) == ()
