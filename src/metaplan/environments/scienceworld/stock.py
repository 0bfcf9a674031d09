"""ScienceWorld played through the package's own wrapper: the reference, and the fallback.

Each environment of the package has a JVM of its own, and every step derives what an episode does
not need: more than ten times the CPU and many times the memory of `simulator`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from metaplan.core import EnvironmentFault
from metaplan.environments.scienceworld.java import find_java
from metaplan.environments.scienceworld.simulator import (
    JAVA_OPTIONS,
    Opening,
    Outcome,
    simplifications,
)

__all__ = ["StockEngine", "StockSimulator"]

_NO_STEP_LIMIT = 10**9


class StockSimulator:
    """A simulator in a JVM of its own.

    Attributes:
        alive: False once it can't be reached any more.
    """

    def __init__(self) -> None:
        from scienceworld import ScienceWorldEnv

        self.alive = True
        with _java_for_the_package():
            self.env = ScienceWorldEnv("", envStepLimit=_NO_STEP_LIMIT)

    def load(self, task_name: str, variation: int, luck: int = 0) -> Opening:  # noqa: ARG002
        """Builds the world of a task; it replaces the one before. Luck can't be chosen here.

        Raises:
            EnvironmentFault: The JVM is gone, or the simulator can't build this world.
        """
        with self.faults():
            self.env.load(task_name, variation, simplifications(task_name))
            room, info = self.env.reset()
            return Opening(self.env.get_task_description(), room, info["score"] / 100)

    def step(self, action: str) -> Outcome:
        """Does one action.

        Raises:
            EnvironmentFault: The JVM is gone, or the simulator broke.
        """
        with self.faults():
            text, _, over, info = self.env.step(action)
            score = info["score"] / 100
            return Outcome(text, score, over and score >= 0)

    @contextmanager
    def faults(self) -> Iterator[None]:
        """Turns what py4j raises into faults; a simulator that raised one is not used again.

        Raises:
            EnvironmentFault: The JVM is gone, or the simulator in it threw an exception.
        """
        from py4j.protocol import Py4JError

        try:
            yield
        except (Py4JError, OSError) as error:
            self.alive = False
            raise EnvironmentFault(f"the simulator failed: {error}") from error


class StockEngine:
    """Makes stock simulators.

    Attributes:
        alive: Always true: each simulator lives and dies on its own.
    """

    alive = True

    def simulator(self) -> StockSimulator:
        """A new simulator, in a new JVM."""
        return StockSimulator()

    def variations(self) -> dict[str, dict[str, list[int]]]:
        """As `Jvm.variations`; slow, since the package only tells the folds of a loaded task."""
        simulator = StockSimulator()
        found = {}
        with simulator.faults():
            for name in sorted(simulator.env.get_task_names()):
                simulator.env.load(name, 0, simplifications(name))
                found[name] = {
                    "train": list(simulator.env.get_variations_train()),
                    "dev": list(simulator.env.get_variations_dev()),
                    "test": list(simulator.env.get_variations_test()),
                }
        return found

    def gold_path(
        self,
        task_name: str,
        variation: int,
        luck: int = 0,  # noqa: ARG002
    ) -> tuple[list[str], bool]:
        """As `Jvm.gold_path`, with another luck every time; the package does not tell failures.

        Raises:
            EnvironmentFault: The JVM is gone, or its expert failed.
        """
        simulator = StockSimulator()  # it would compute the path again at every later load
        with simulator.faults():
            easier = simplifications(task_name)
            simulator.env.load(task_name, variation, easier, generateGoldPath=True)
            return list(simulator.env.get_gold_action_sequence()), True

    def stop(self) -> None:
        """Nothing to do: a stock simulator ends its JVM when nothing refers to it any more."""


@contextmanager
def _java_for_the_package() -> Iterator[None]:
    """The package starts what ``java`` means on the path, with options from the environment."""
    ours: dict[str, Any] = {
        "PATH": os.pathsep.join([str(Path(find_java()).parent), os.environ.get("PATH", "")]),
        "JDK_JAVA_OPTIONS": " ".join(JAVA_OPTIONS),
    }
    before = {name: os.environ.get(name) for name in ours}
    os.environ.update(ours)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value
