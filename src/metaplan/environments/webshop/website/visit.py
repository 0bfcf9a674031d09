"""What a person in a browser has done so far: one visit, by the agent's rules."""

from __future__ import annotations

from metaplan.environments.contract import StepResult
from metaplan.environments.webshop.environment import LoadedGoal, ShopEnvironment
from metaplan.environments.webshop.pages import Page

__all__ = ["Visit"]


class Visit:
    """One visit after the other to the same shop with the same goal.

    Args:
        goal: What is to be bought.
        step_limit: Actions in a visit.

    Attributes:
        steps: Actions so far.
        last: What the last action led to; None before the first.
    """

    def __init__(self, goal: LoadedGoal, step_limit: int) -> None:
        self._goal = goal
        self.step_limit = step_limit
        self.begin()

    def begin(self) -> None:
        """Begins a new visit."""
        self._environment: ShopEnvironment = self._goal.make()
        self._environment.reset()
        self.steps = 0
        self.last: StepResult | None = None

    @property
    def page(self) -> Page:
        """The page that is shown."""
        return self._environment.session.page

    @property
    def is_over(self) -> bool:
        """Whether something was bought, or all steps are used."""
        return self.steps >= self.step_limit or (self.last is not None and self.last.terminated)

    def act(self, action: str) -> None:
        """Does an action as an agent writes it; after the end, nothing."""
        if not self.is_over:
            self.last = self._environment.step(action)
            self.steps += 1
