"""What runs where environments live: the tasks loaded there, and the episodes under way."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from metaplan.core import ExpertTrajectory, MetaPlan, Task
from metaplan.environments import Environment, LoadedTask, Observation, StepResult, get_benchmark

__all__ = ["LOADED_TASKS_KEPT", "EnvironmentHost"]

LOADED_TASKS_KEPT = 32


class EnvironmentHost:
    """Answers a worker's requests, one after the other; environments go by the pool's numbers."""

    def __init__(self) -> None:
        self._loaded: OrderedDict[tuple[str, str], LoadedTask] = OrderedDict()
        self._environments: dict[int, Environment] = {}

    def answer(self, operation: str, arguments: tuple[Any, ...]) -> tuple[bool, Any]:
        """Does one operation; whatever an environment raises is a fault with its cause.

        Args:
            operation: Name of a method below.
            arguments: Of the method.

        Returns:
            Whether it went well, and the result or the cause in words.
        """
        try:
            return True, getattr(self, operation)(*arguments)
        except Exception as error:
            return False, f"{type(error).__name__}: {error}"

    def reset(self, number: int, task: Task) -> Observation:
        """Makes an environment and starts its episode."""
        environment = self._load(task).make()
        self._environments[number] = environment
        return environment.reset()

    def step(self, number: int, action: str) -> StepResult:
        """Does one action."""
        return self._environments[number].step(action)

    def close(self, number: int) -> None:
        """Frees an environment, if it is there."""
        environment = self._environments.pop(number, None)
        if environment is not None:
            environment.close()

    def describe(self, task: Task) -> str:
        """The task's instruction: what a reset shows."""
        environment = self._load(task).make()
        try:
            return environment.reset().text
        finally:
            environment.close()

    def expert(self, task: Task) -> ExpertTrajectory:
        """The expert's trajectory of a task."""
        expert = get_benchmark(task.benchmark).expert
        if expert is None:
            raise ValueError(f"the benchmark {task.benchmark} has no expert")
        return expert(task)

    def demonstrate(
        self, task: Task, person: int | None, plan: MetaPlan | None, varied: bool
    ) -> ExpertTrajectory:
        """A person's episode of a task, shown a plan or none."""
        demonstrate = get_benchmark(task.benchmark).demonstrate
        if demonstrate is None:
            raise ValueError(f"nobody demonstrates the benchmark {task.benchmark}")
        return demonstrate(task, person, plan, varied)

    def _load(self, task: Task) -> LoadedTask:
        name = (task.task_set, task.key)
        if name not in self._loaded:
            self._loaded[name] = get_benchmark(task.benchmark).load(task)
            while len(self._loaded) > LOADED_TASKS_KEPT:
                self._loaded.popitem(last=False)
        self._loaded.move_to_end(name)
        return self._loaded[name]
