"""One ScienceWorld task as a loaded task, and one episode of it as an environment."""

from __future__ import annotations

from typing import Literal

from metaplan.core import EnvironmentFault
from metaplan.environments.contract import Observation, StepResult
from metaplan.environments.scienceworld.simulator import Simulator
from metaplan.environments.scienceworld.simulators import SIMULATORS, Simulators

__all__ = ["LoadedExperiment", "ScienceEnvironment"]

_REFUSED = ("No known action matches that input.", "Unknown action.")


class LoadedExperiment:
    """A task and variation that the simulator knows.

    There is nothing to prepare: a simulator builds the world anew for every episode.

    Args:
        task_name: As the simulator calls it, e.g. ``boil``.
        variation: Which of its variations.
        luck: 0 for the chance that the variation has; others for experts who need another.
        simulators: Where episodes get their simulators from.
    """

    def __init__(
        self,
        task_name: str,
        variation: int,
        *,
        luck: int = 0,
        simulators: Simulators = SIMULATORS,
    ) -> None:
        self._world = (task_name, variation, luck)
        self._simulators = simulators

    def make(self) -> ScienceEnvironment:
        """A fresh environment for one episode; several may be alive and take turns."""
        return ScienceEnvironment(self._world, self._simulators)


class ScienceEnvironment:
    """One episode (an `Environment`).

    The reward is the best score so far, as the paper's authors count; success is the simulator's
    own verdict on the goal. A score below 0 is a mistake that can't be mended, such as focusing on
    the wrong thing: it ends the episode as failed.
    """

    def __init__(self, world: tuple[str, int, int], simulators: Simulators) -> None:
        self._world = world
        self._simulators = simulators
        self._simulator: Simulator | None = None
        self._state: Literal["new", "running", "closed"] = "new"
        self._best = 0.0

    def reset(self) -> Observation:
        """Starts the episode.

        Returns:
            The task in the simulator's words, and the room around the agent.

        Raises:
            EnvironmentFault: The simulator broke, or the episode has begun.
            UserError: Java or the package is missing.
        """
        self._expect("new")
        self._simulator = self._simulators.take()
        self._state = "running"
        opening = self._simulator.load(*self._world)
        self._best = max(0.0, opening.score)
        return Observation(f"{opening.description.strip()}\n\n{opening.room.strip()}")

    def step(self, action: str) -> StepResult:
        """Does one action; a number answers the question which of several things was meant.

        Raises:
            EnvironmentFault: The simulator broke, or the episode is not running.
        """
        self._expect("running")
        if self._simulator is None:
            raise EnvironmentFault("the episode has no simulator")
        outcome = self._simulator.step(action.strip())
        failed = outcome.score < 0
        solved = outcome.completed and not failed
        self._best = max(self._best, outcome.score)
        return StepResult(
            observation=outcome.text.strip(),
            reward=min(self._best, 1.0),
            terminated=solved or failed,
            truncated=False,
            success=solved,
            valid=bool(action.strip()) and not outcome.text.startswith(_REFUSED),
            info={"score": outcome.score},
        )

    def close(self) -> None:
        """Ends the episode. Safe to call twice."""
        self._state = "closed"
        if self._simulator is not None:
            self._simulators.give_back(self._simulator)
            self._simulator = None

    def _expect(self, state: str) -> None:
        if self._state != state:
            raise EnvironmentFault(f"the episode is {self._state}, not {state}")
