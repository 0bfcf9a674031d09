"""A realistic report of synthetic episodes. To look at it:

python tests/reports/conftest.py OUT
"""

from __future__ import annotations

import random
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from metaplan.core import (
    Episode,
    MetaPlan,
    Placement,
    PlanScore,
    PreferencePair,
    StopReason,
    Task,
    Turn,
)
from metaplan.evaluation import Arm, Results, evaluate
from metaplan.reports import (
    ExampleEpisode,
    ExamplePlans,
    ReportContext,
    RunFacts,
    write_report,
)

TYPES = {
    "pick_and_place_simple": "put a vase in safe",
    "pick_clean_then_place_in_recep": "put a clean lettuce in diningtable",
    "pick_heat_then_place_in_recep": "put a hot mug in coffeemachine",
    "pick_cool_then_place_in_recep": "cool some tomato and put it in microwave",
    "look_at_obj_in_light": "look at bowl under the desklamp",
    "pick_two_obj_and_place": "put two cd in safe",
}
SKILL = {"none": 0.38, "sft": 0.47, "rft": 0.52, "mpo": 0.64}
ROOM = (
    "You are in the middle of a room. Looking quickly around you, you see a cabinet 4, "
    "a cabinet 3, a countertop 2, a fridge 1, a microwave 1, a sinkbasin 1, and a diningtable 1.\n"
)


def make_task(number: int, split: str = "seen") -> Task:
    kind = list(TYPES)[number % len(TYPES)]
    return Task(
        key=f"household/{split}/{kind}/{number:04d}",
        benchmark="household",
        task_set=split,
        task_type=kind,
        instruction=f"{ROOM}Your task is to: {TYPES[kind]}.",
    )


def make_plan(goal: str, *, good: bool = True) -> MetaPlan:
    steps = [
        f"Find what the task asks for ({goal}): look first where such things usually are",
        "Take it with you",
        "Go to the appliance that prepares it, and prepare it",
        "Go to the place that the task names and put it there",
    ]
    return MetaPlan(steps=tuple(steps if good else [steps[0], steps[3]]))


def make_episode(
    task: Task, method: str, *, solved: bool, steps: int, stop: StopReason | None = None
) -> Episode:
    actions = [
        ("go to countertop 2", "You arrive at countertop 2. On it, you see a lettuce 1, a mug 2."),
        ("take lettuce 1 from countertop 2", "You pick up the lettuce 1 from the countertop 2."),
        ("go to sinkbasin 1", "You arrive at sinkbasin 1. On the sinkbasin 1, you see nothing."),
        ("clean lettuce 1 with sinkbasin 1", "You clean the lettuce 1 using the sinkbasin 1."),
        ("open cabinet 4", "Nothing happens."),
    ]
    turns = []
    for number in range(steps):
        action, observation = actions[number % len(actions)]
        problem = "invalid" if observation == "Nothing happens." else None
        problem = "format" if number == 11 else problem
        turns.append(
            Turn(
                reply=f"Thought: I should follow the plan and look further.\nAction: {action}",
                action=None if problem == "format" else action,
                observation=observation,
                reward=float(solved and number == steps - 1),
                problem=problem,
            )
        )
    return Episode(
        key=f"{method}-{task.key}-{stop}",
        task_key=task.key,
        environment="0123456789abcdef",
        plan_key=None if method == "none" else make_plan(task.task_type).key,
        placement=None if method == "none" else Placement.INSTRUCTION,
        agent="plan-follower",
        repetition=0,
        turns=tuple(turns),
        reward=float(solved),
        success=solved,
        stop_reason=stop or (StopReason.SOLVED if solved else StopReason.STEP_LIMIT),
        duration_s=0.21,
    )


def make_results(
    methods=("none", "sft", "rft", "mpo"), splits=("seen", "unseen"), tasks=96, void=3
) -> Results:
    chance = random.Random(7)
    arms = []
    for split in splits:
        chosen = [make_task(number, split) for number in range(tasks)]
        luck = {task.key: chance.gauss(0.0, 0.2) for task in chosen}
        for method in methods:
            skill = SKILL.get(method, 0.5) - 0.06 * (split == "unseen")
            episodes = []
            for task in chosen:
                solved = chance.random() < skill + luck[task.key]
                steps = chance.randint(5, 18) if solved else 30
                episodes.append(make_episode(task, method, solved=solved, steps=steps))
            if method == "rft":
                lost = [
                    make_episode(t, method, solved=False, steps=2, stop=StopReason.MODEL_ERROR)
                    for t in chosen[:void]
                ]
                episodes[:void] = lost
            arms.append(
                Arm(
                    benchmark="household",
                    split=split,
                    agent="plan-follower",
                    planner="tiny-llama",
                    method=method,
                    placement=None if method == "none" else Placement.INSTRUCTION,
                    episodes=tuple(episodes),
                    task_types={task.key: task.task_type for task in chosen},
                    planned=tasks,
                )
            )
    return evaluate(arms)


def make_context(**changes) -> ReportContext:
    chance = random.Random(3)
    scores, pairs = [], []
    for number in range(120):
        goal = TYPES[make_task(number).task_type]
        ability = chance.random()
        means = [sum(chance.random() < ability for _ in range(5)) / 5 for _ in range(5)]
        plans = [make_plan(f"{goal}, {n}") for n in range(5)]
        scores += [
            PlanScore(
                task_key=make_task(number).key,
                plan=plan,
                mean=mean,
                standard_error=(mean * (1 - mean) / 5) ** 0.5,
                count=5,
            )
            for plan, mean in zip(plans, means, strict=True)
        ]
        if max(means) > min(means):
            pairs.append(
                PreferencePair(
                    task_key=make_task(number).key,
                    chosen=plans[means.index(max(means))],
                    rejected=plans[means.index(min(means))],
                    chosen_score=max(means),
                    rejected_score=min(means),
                )
            )
    falling = [
        {"step": s, "loss": 4.1 * 0.93**s + 0.3 + chance.gauss(0, 0.03)} for s in range(1, 60)
    ]
    preferences = [
        {
            "step": s,
            "loss": 0.69 * 0.975**s + chance.gauss(0, 0.01),
            "rewards/chosen": 0.02 * s + chance.gauss(0, 0.05),
            "rewards/rejected": -0.05 * s + chance.gauss(0, 0.05),
            "logps/chosen": -42.0 - 0.1 * s,
            "logps/rejected": -44.0 - 0.5 * s,
            "rewards/accuracies": min(1.0, 0.5 + 0.01 * s),
        }
        for s in range(1, 45)
    ]
    clean, heat = make_task(1), make_task(2)
    values = {
        "title": "MPO on household games",
        "facts": RunFacts(
            recipe="demo",
            date="2026-11-21",
            machine="2 CPU cores, 24 GiB",
            stage_seconds={
                "collect": 8.1,
                "sft": 61.0,
                "explore": 214.0,
                "mpo": 74.0,
                "evaluate": 96.4,
            },
            versions={
                "metaplan": "0.1.0",
                "textworld": "1.7.0",
                "torch": "2.13.0",
                "agent": "plan-follower, error rate 0.1",
            },
            episodes={"explore": 3000, "evaluate": 765},
            void={"model_error": 6},
        ),
        "config_yaml": "recipe: demo\nexploration:\n  plans_per_task: 5\n  episodes_per_plan: 5\n",
        "curves": {"sft": tuple(falling), "rft": tuple(falling[:40]), "mpo": tuple(preferences)},
        "plan_scores": tuple(scores),
        "pairs": tuple(pairs),
        "example_plans": tuple(
            ExamplePlans(
                task_key=task.key,
                instruction=task.instruction,
                plans={
                    method: make_plan(TYPES[task.task_type], good=method != "sft").text
                    for method in ("sft", "rft", "mpo")
                },
            )
            for task in (clean, heat)
        ),
        "example_episodes": tuple(
            ExampleEpisode(
                title="Without a plan it wanders" if method == "none" else "MPO's plan gets there",
                method=method,
                instruction=clean.instruction,
                plan=None if method == "none" else make_plan("lettuce").text,
                episode=make_episode(
                    clean, method, solved=method == "mpo", steps=9 if method == "mpo" else 30
                ),
            )
            for method in ("none", "mpo")
        ),
        "notes": (
            "The agent is a rule-based plan follower, not a language model.",
            "One training seed: the intervals do not show how much another seed would change.",
        ),
    }
    return ReportContext(**{**values, **changes})


@pytest.fixture(scope="session")
def sample():
    """The makers of this file, for tests that change something."""
    return SimpleNamespace(
        task=make_task,
        plan=make_plan,
        episode=make_episode,
        results=make_results,
        context=make_context,
    )


@pytest.fixture(scope="session")
def results() -> Results:
    return make_results()


@pytest.fixture(scope="session")
def report(tmp_path_factory, results) -> Path:
    return write_report(tmp_path_factory.mktemp("run") / "report", results, make_context())


if __name__ == "__main__":
    print(write_report(Path(sys.argv[1]), make_results(), make_context()))
