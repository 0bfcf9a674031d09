"""The simulators of this process: one JVM, started when it is first needed, and used again.

Where the simulator's inside is not as expected, the package's own wrapper takes its place.
"""

from __future__ import annotations

import warnings
from typing import Protocol

from metaplan.environments.scienceworld.simulator import (
    Jvm,
    Simulator,
    UnexpectedSimulatorError,
)
from metaplan.environments.scienceworld.stock import StockEngine

__all__ = ["SIMULATORS", "Engine", "Simulators", "read_variations"]


class Engine(Protocol):
    """What makes simulators: `Jvm`, or `StockEngine` in its place."""

    @property
    def alive(self) -> bool:
        """False once it can't be reached any more."""

    def simulator(self) -> Simulator:
        """A new simulator."""

    def variations(self) -> dict[str, dict[str, list[int]]]:
        """Task name to fold to the numbers of its variations."""

    def gold_path(self, task_name: str, variation: int, luck: int = 0) -> tuple[list[str], bool]:
        """The actions of the simulator's own expert, and whether they solved the task."""

    def stop(self) -> None:
        """Ends it and its simulators."""


class Simulators:
    """Hands out simulators, and starts a new JVM after one was lost. Not thread-safe."""

    def __init__(self) -> None:
        self._engine: Engine | None = None
        self._idle: list[Simulator] = []

    @property
    def engine(self) -> Engine:
        """The engine that is running; starts one where there is none.

        Raises:
            UserError: Java or the package is missing.
        """
        if self._engine is None or not self._engine.alive:
            self._idle.clear()
            self._engine = start_engine()
        return self._engine

    def take(self) -> Simulator:
        """A simulator for one episode.

        Raises:
            UserError: Java or the package is missing.
            EnvironmentFault: The JVM was lost at this moment.
        """
        engine = self.engine
        return self._idle.pop() if self._idle else engine.simulator()

    def give_back(self, simulator: Simulator) -> None:
        """Takes back what `take` gave; a later episode may use it."""
        if simulator.alive:
            self._idle.append(simulator)

    def stop(self) -> None:
        """Ends the JVM. A later `take` starts another."""
        if self._engine is not None:
            self._engine.stop()


SIMULATORS = Simulators()
"""Those of this process."""


def start_engine() -> Engine:
    """A new JVM, or the package's wrapper where the simulator's inside is not as expected.

    Raises:
        UserError: Java or the package is missing.
    """
    try:
        return Jvm()
    except UnexpectedSimulatorError as error:
        warnings.warn(
            f"ScienceWorld runs through its own wrapper, several times slower: {error}",
            RuntimeWarning,
            stacklevel=2,
        )
        return StockEngine()


def read_variations() -> dict[str, dict[str, list[int]]]:
    """Asks a simulator of its own: task name to fold to the numbers of its variations.

    Raises:
        UserError: Java or the package is missing.
    """
    engine = start_engine()
    try:
        return engine.variations()
    finally:
        engine.stop()
