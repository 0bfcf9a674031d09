"""The conformance suite: does an environment keep the contract?

It is public so that whoever adds a benchmark can run it in their own tests:

    assert check_environment(BENCHMARK) == ()

and it is what ``metaplan envs check`` runs.
"""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from metaplan.core import EnvironmentFault, Task
from metaplan.environments.contract import (
    Benchmark,
    Environment,
    LoadedTask,
    Observation,
    StepResult,
)

__all__ = ["BAD_ACTIONS", "Finding", "check_environment"]

BAD_ACTIONS = (
    "",
    "   ",
    "\n",
    "do something impossible with the {task} and the {0}",
    "prendre la pomme é ß 苹果 🍎",
    "a" * 10_000,
    "Thought: none\nAction: look",
    "\x00\x1b[31m",
)
"""What agents may send and no environment should choke on."""


@dataclass(frozen=True)
class Finding:
    """One way in which the contract is broken.

    Attributes:
        rule: Short name of the rule.
        message: What was seen, and what would be right.
    """

    rule: str
    message: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.message}"


def check_environment(
    target: Benchmark | LoadedTask,
    *,
    task: Task | None = None,
    actions: Sequence[str] = (),
    deterministic: bool = True,
) -> tuple[Finding, ...]:
    """Plays a few short episodes and reports every breach of the contract.

    Args:
        target: A benchmark, or one loaded task.
        task: The benchmark's task to play; by default the first of its first task set. Its
            expert's actions are played too, and must solve it.
        actions: Sensible actions to play, beside the senseless ones of `BAD_ACTIONS`.
        deterministic: For a loaded task, whether equal actions give equal texts. A benchmark
            says so itself.

    Returns:
        What was found; empty for an environment that conforms.
    """
    if not isinstance(target, Benchmark):
        return tuple(_loaded_findings(target, tuple(actions), deterministic))
    return tuple(_benchmark_findings(target, task, tuple(actions)))


def _benchmark_findings(
    benchmark: Benchmark, task: Task | None, actions: tuple[str, ...]
) -> Iterator[Finding]:
    if not benchmark.task_sets:
        yield Finding("task sets", "there is none")
        return
    if task is None:
        tasks = benchmark.tasks(next(iter(benchmark.task_sets)))
        yield from _listing_findings(benchmark, tasks)
        if not tasks:
            return
        task = tasks[0]
    yield from _task_findings(benchmark, task)
    yield from _record_findings(benchmark, task)
    if benchmark.expert is not None:
        trajectory = benchmark.expert(task)
        actions += tuple(step.action for step in trajectory.steps)
        if not trajectory.success:
            yield Finding("expert", f"its trajectory of {task.key} is no success")
        elif benchmark.deterministic:
            yield from _expert_findings(benchmark.load(task), task, actions)
    yield from _loaded_findings(benchmark.load(task), actions, benchmark.deterministic)


def _listing_findings(benchmark: Benchmark, tasks: Sequence[Task]) -> Iterator[Finding]:
    keys = [task.key for task in tasks]
    if not keys:
        yield Finding("tasks", "the first task set is empty")
    if keys != sorted(keys):
        yield Finding("tasks", "they must be sorted by key, whatever the order of files")
    if len(set(keys)) != len(keys):
        yield Finding("tasks", "two tasks have the same key")
    if [task.key for task in benchmark.tasks(next(iter(benchmark.task_sets)))] != keys:
        yield Finding("tasks", "a second listing differs from the first")


def _task_findings(benchmark: Benchmark, task: Task) -> Iterator[Finding]:
    if not task.key.startswith(f"{benchmark.name}/"):
        yield Finding("task key", f"{task.key!r} must begin with '{benchmark.name}/'")
    if task.benchmark != benchmark.name:
        yield Finding("task", f"its benchmark is {task.benchmark!r}, not {benchmark.name!r}")
    if task.task_set not in benchmark.task_sets:
        yield Finding("task", f"its task set {task.task_set!r} is not one of the benchmark's")
    if pickle.loads(pickle.dumps(task)) != task:  # noqa: S301 (our own bytes)
        yield Finding("task", "it changes when it is pickled")


def _record_findings(benchmark: Benchmark, task: Task) -> Iterator[Finding]:
    prompts = benchmark.prompts
    needed = {
        "instruction": (prompts.instruction, ("{example}", "{task_instruction}")),
        "planner": (prompts.planner, ("{task}",)),
        "collection": (prompts.collection, ("{task}", "{conversation}")),
    }
    for name, (text, slots) in needed.items():
        if missing := [slot for slot in slots if slot not in text]:
            yield Finding("prompts", f"{name} lacks {', '.join(missing)}")
    if not benchmark.action_templates:
        yield Finding("action templates", "there is none")
    if not benchmark.example(task).strip():
        yield Finding("example", f"it is empty for {task.key}")
    if benchmark.step_limit(task) < 1:
        yield Finding("step limit", f"it is {benchmark.step_limit(task)}; it must be positive")
    facts = benchmark.fingerprint(task.task_set)
    if not all(isinstance(part, str) for pair in facts.items() for part in pair):
        yield Finding("fingerprint", "its names and values must be text")
    if dict(facts) != dict(benchmark.fingerprint(task.task_set)):
        yield Finding("fingerprint", "it differs from call to call")


def _expert_findings(loaded: LoadedTask, task: Task, actions: tuple[str, ...]) -> Iterator[Finding]:
    results = _play(loaded, actions)
    if not any(result.success for result in results[1:] if isinstance(result, StepResult)):
        yield Finding("expert", f"its actions, played again, do not solve {task.key}")


def _loaded_findings(
    loaded: LoadedTask, actions: tuple[str, ...], deterministic: bool
) -> Iterator[Finding]:
    environment = loaded.make()
    if not isinstance(environment, Environment):
        yield Finding("make", f"it gives a {type(environment).__name__}, not an Environment")
        return
    environment.close()
    played = BAD_ACTIONS + actions
    results = _play(loaded, played)
    yield from _result_findings(results, played)
    yield from _close_findings(loaded)
    if deterministic:
        if _play(loaded, played) != results:
            yield Finding("determinism", "equal actions gave different results")
        if _play(loaded, played, beside=loaded.make()) != results:
            yield Finding("independence", "an episode changes when another takes turns with it")


def _play(
    loaded: LoadedTask, actions: Sequence[str], beside: Environment | None = None
) -> list[Observation | StepResult | Finding]:
    """One episode, up to its end; `beside` does the same actions backwards, in between."""
    environment = loaded.make()
    results: list[Observation | StepResult | Finding] = [environment.reset()]
    others = iter(actions[::-1])
    if beside is not None:
        beside.reset()
    for action in actions:
        result = _attempt(environment.step, action)
        results.append(result)
        if isinstance(result, Finding) or result.terminated or result.truncated:
            break
        if beside is not None:
            other = _attempt(beside.step, next(others))
            if isinstance(other, Finding) or other.terminated or other.truncated:
                beside.close()
                beside = None
    for used in (environment, beside):
        if used is not None:
            used.close()
    return results


def _attempt(step: Callable[[str], StepResult], action: str) -> StepResult | Finding:
    try:
        return step(action)
    except EnvironmentFault as fault:
        return Finding("step", f"the environment broke on {action[:60]!r}: {fault}")
    except Exception as error:
        return Finding(
            "step",
            f"{type(error).__name__} on {action[:60]!r}: a senseless action changes nothing, "
            "and a broken environment raises EnvironmentFault",
        )


def _result_findings(
    results: Sequence[Observation | StepResult | Finding], actions: Sequence[str]
) -> Iterator[Finding]:
    first = results[0]
    if not isinstance(first, Observation):
        yield Finding("reset", f"it gives a {type(first).__name__}, not an Observation")
    elif not first.text.strip():
        yield Finding("reset", "its text is empty")
    else:
        yield from _info_findings("reset", first.info)
    for action, result in zip(actions, results[1:], strict=False):
        if isinstance(result, Finding):
            yield result
        elif not isinstance(result, StepResult):
            yield Finding("step", f"it gives a {type(result).__name__}, not a StepResult")
        else:
            yield from _step_findings(action, result)


def _step_findings(action: str, result: StepResult) -> Iterator[Finding]:
    where = f"after {action[:60]!r}"
    if not isinstance(result.observation, str):
        yield Finding("observation", f"{where} it is no text")
    if not 0.0 <= result.reward <= 1.0:
        yield Finding("reward", f"{where} it is {result.reward}; it must be in [0, 1]")
    for name in ("terminated", "truncated", "success", "valid"):
        if not isinstance(getattr(result, name), bool):
            yield Finding(name, f"{where} it is not a bool")
    if result.success and not result.terminated:
        yield Finding("success", f"{where} the task is solved, but the episode goes on")
    if action.strip() == "" and result.valid:
        yield Finding("valid", "an empty action counts as valid")
    yield from _info_findings("step", result.info)


def _info_findings(rule: str, info: object) -> Iterator[Finding]:
    try:
        json.dumps(info)
    except (TypeError, ValueError) as error:
        yield Finding(rule, f"its info is not JSON-serialisable: {error}")


def _close_findings(loaded: LoadedTask) -> Iterator[Finding]:
    environment = loaded.make()
    environment.reset()
    try:
        environment.close()
        environment.close()
    except Exception as error:
        yield Finding("close", f"a second call raises {type(error).__name__}: {error}")
