"""One goal as a loaded task, and one episode of it as an environment."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from metaplan.core import EnvironmentFault
from metaplan.environments.contract import Observation, StepResult
from metaplan.environments.webshop.goals import Goal
from metaplan.environments.webshop.pages import Page, rich_text, text
from metaplan.environments.webshop.session import Session, Stock

__all__ = ["MODES", "LoadedGoal", "Mode", "ShopEnvironment"]

Mode = Literal["text", "text_rich"]

MODES: dict[Mode, Callable[[Page], str]] = {"text": text, "text_rich": rich_text}
"""How pages are told: as the paper's agents read them, or with buttons marked."""


class LoadedGoal:
    """A goal in its shop.

    Args:
        stock: The shop, which all episodes of a worker share.
        goal: What is to be bought.
        mode: How pages are told.
    """

    def __init__(self, stock: Stock, goal: Goal, mode: Mode = "text") -> None:
        self._stock = stock
        self._goal = goal
        self._mode = mode

    def make(self) -> ShopEnvironment:
        """A fresh environment for one episode; several may be alive and take turns."""
        return ShopEnvironment(Session(self._stock, self._goal), MODES[self._mode])


class ShopEnvironment:
    """One visit (an `Environment`).

    The reward is 0 until something is bought, which ends the episode; success is a reward of 1.
    ``info`` of that last step has the reward's parts. An action that is not possible changes
    nothing, and the page is shown again.

    Args:
        session: A new visit.
        tell: Puts pages into words.
    """

    def __init__(self, session: Session, tell: Callable[[Page], str]) -> None:
        self.session = session
        self._tell = tell
        self._state: Literal["new", "running", "closed"] = "new"

    def reset(self) -> Observation:
        """Starts the visit; the search page says what to buy.

        Raises:
            EnvironmentFault: The episode has begun.
        """
        self._expect("new")
        self._state = "running"
        return Observation(self._tell(self.session.page))

    def step(self, action: str) -> StepResult:
        """Does one action.

        Raises:
            EnvironmentFault: The episode is not running.
        """
        self._expect("running")
        done = self.session.reward is not None
        valid = self.session.act(action)
        reward = self.session.reward
        return StepResult(
            observation=self._tell(self.session.page),
            reward=reward.total if reward else 0.0,
            terminated=reward is not None,
            truncated=False,
            success=reward is not None and reward.total == 1.0,
            valid=valid,
            info=reward.as_info() if reward and not done else {},
        )

    def close(self) -> None:
        """Ends the visit. Safe to call twice."""
        self._state = "closed"

    def _expect(self, state: str) -> None:
        if self._state != state:
            raise EnvironmentFault(f"the episode is {self._state}, not {state}")
