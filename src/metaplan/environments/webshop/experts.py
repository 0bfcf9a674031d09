"""An expert that shops: searches with the goal's own words, looks, chooses options, buys.

It knows which product the instruction was written about and recognises it among the results; all
else it reads from the pages. It has ten steps, like any agent. How it searches differs from goal to
goal, as people do: with everything that is asked for, with kind and attributes, or with the kind
alone. Where the product is not on the first pages, it searches with the words of its title.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from random import Random

from metaplan.core import ExpertStep, ExpertTrajectory, Task, seed_from
from metaplan.environments.webshop.environment import LoadedGoal, ShopEnvironment
from metaplan.environments.webshop.goals import NO_CAP, Goal
from metaplan.environments.webshop.matching import colour_of, token_set_ratio
from metaplan.environments.webshop.pages import BUY, NEXT, PREVIOUS, PageKind, Role
from metaplan.environments.webshop.products import Product
from metaplan.environments.webshop.task_sets import goal_of

__all__ = ["STEP_LIMIT", "shop_for", "solve"]

STEP_LIMIT = 10
"""Replies of the agent in one episode (ETO's configuration)."""

_PAGES_LOOKED_AT = 3
_STYLES = ("everything", "attributes", "kind")
_PRICE = re.compile(r",? and price lower than [\d.]+ dollars$")
_CHOICE = re.compile(r"\b(\w+): ")


def solve(task: Task) -> ExpertTrajectory:
    """The expert's episode of a task; `success` is false where it falls short of reward 1.

    Raises:
        DataError: There is no such task, or its data is missing.
    """
    shop, goal = goal_of(task)
    return shop_for(task, LoadedGoal(shop, goal).make(), goal, shop.product(goal.asin))


def shop_for(
    task: Task, environment: ShopEnvironment, goal: Goal, wanted: Product
) -> ExpertTrajectory:
    """Plays one episode.

    Args:
        task: Its key decides how the expert searches.
        environment: A new visit with the goal.
        goal: What is to be bought.
        wanted: The product that the instruction was written about.
    """
    shopper = _Shopper(environment, goal, wanted)
    style = Random(seed_from("webshop/expert", task.key)).choice(_STYLES)  # noqa: S311
    try:
        instruction = environment.reset().text
        shopper.shop(style)
    finally:
        environment.close()
    return ExpertTrajectory(
        task=task.model_copy(update={"instruction": instruction}),
        steps=tuple(shopper.steps),
        reward=shopper.reward,
        success=shopper.success,
        source="handcoded",
    )


class _Shopper:
    def __init__(self, environment: ShopEnvironment, goal: Goal, wanted: Product) -> None:
        self._environment = environment
        self._goal = goal
        self._wanted = wanted
        self.steps: list[ExpertStep] = []
        self.reward = 0.0
        self.success = False

    def shop(self, style: str) -> None:
        """All of it: find, look, choose, buy."""
        choices = list(self._choices())
        queries = dict.fromkeys((self._query(style), self._query("everything"), self._wanted.title))
        for number, query in enumerate(queries):
            left = STEP_LIMIT - len(self.steps) - len(choices) - 3
            pages = 1 if number else max(1, min(_PAGES_LOOKED_AT, left))
            if self._find(query, pages):
                break
        else:
            self._settle()
        self._check(len(choices))
        for name, value in choices:
            if value in self._environment.session.page.clickable:
                self._do(
                    f"click[{value}]", f"The instruction asks for {value}: I choose the {name}."
                )
        self._do(f"click[{BUY}]", "All that is asked for is chosen. I buy it.")

    def _query(self, style: str) -> str:
        instruction = _CHOICE.sub(r"\1 ", _PRICE.sub("", self._goal.instruction))
        if style == "everything":
            return instruction
        words = [self._wanted.query]
        return " ".join(words + list(self._goal.attributes) * (style == "attributes"))

    def _find(self, query: str, pages: int) -> bool:
        """Whether the wanted product was found, and is now looked at."""
        self._do(f"search[{query}]", "I search for what the instruction asks for.")
        for page in range(1, pages + 1):
            if self._wanted.asin.lower() in self._environment.session.page.clickable:
                why = f"{self._wanted.title} looks like what is wanted"
                if self._goal.price_cap < NO_CAP:
                    why += f", and {self._wanted.price_tag} is within the price"
                self._do(f"click[{self._wanted.asin}]", f"{why}. I look at it.")
                return True
            if page < pages and NEXT.lower() in self._environment.session.page.clickable:
                self._do(f"click[{NEXT}]", "None of these is right. I look at the next page.")
        return False

    def _settle(self) -> None:
        """Takes the best of the last results, where the wanted product is not to be found."""
        page = self._environment.session.page
        links = [element.text for element in page.elements if element.role is Role.LINK]
        if links:
            self._do(f"click[{links[0]}]", "The first result comes closest. I look at it.")

    def _check(self, choices: int) -> None:
        """Looks up the features, where the title does not name all attributes and there is time."""
        title = self._wanted.title.lower()
        unseen = [word for word in self._goal.attributes if word not in title]
        time = STEP_LIMIT - len(self.steps) - choices - 1
        on_item = self._environment.session.page.kind is PageKind.ITEM
        if on_item and unseen and time >= 2:
            self._do(
                "click[Features]", f"Its title does not say {unseen[0]}. I check the features."
            )
            self._do(f"click[{PREVIOUS}]", "That fits. I go back to the product.")

    def _choices(self) -> Iterator[tuple[str, str]]:
        """Of each option the value that is most like a wanted one, where one is like it at all."""
        for option in self._goal.options:
            found = [
                (_likeness(option, value), name, value)
                for name, values in self._wanted.options.items()
                for value in values
            ]
            likeness, name, value = max(found, key=lambda item: item[0], default=(0.0, "", ""))
            if likeness > 0:
                yield name, value

    def _do(self, action: str, thought: str) -> None:
        if len(self.steps) >= STEP_LIMIT or self.success:
            return
        result = self._environment.step(action)
        self.reward, self.success = result.reward, result.success
        self.steps.append(
            ExpertStep(action=action, observation=result.observation, thought=thought)
        )


def _likeness(option: str, value: str) -> float:
    """How alike two values are; equal ones before those that the reward takes for equal."""
    return token_set_ratio(colour_of(option), colour_of(value)) + (option == value)
