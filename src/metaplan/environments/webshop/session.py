"""One visit to the shop: which page it is on, and what an action leads to."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Protocol

from metaplan.environments.webshop.goals import Goal
from metaplan.environments.webshop.nouns import NounTagger
from metaplan.environments.webshop.pages import (
    BACK_TO_SEARCH,
    BUY,
    HITS,
    NEXT,
    PER_PAGE,
    PREVIOUS,
    SUB_PAGES,
    Page,
    PageKind,
    Role,
    done_page,
    item_page,
    results_page,
    search_page,
    sub_page,
)
from metaplan.environments.webshop.products import Product
from metaplan.environments.webshop.reward import Reward, reward_of

__all__ = ["Session", "Stock", "read_action"]


class Stock(Protocol):
    """What a visit needs of the shop."""

    @property
    def tagger(self) -> NounTagger:
        """Finds nouns, for the reward."""

    def product(self, asin: str) -> Product:
        """The product of that identifier."""

    def search(self, query: str, limit: int) -> Sequence[Product]:
        """What a search finds, best first."""


_ACTION = re.compile(r"\s*(search|click)\s*\[", re.IGNORECASE)
_BRACKETS = {"[": 1, "]": -1}


def read_action(action: str) -> tuple[str, str] | None:
    """Reads ``search[keywords]`` or ``click[value]``.

    Upper and lower case are the same, blanks around and within count as one, and the value may
    have brackets of its own. What follows the action is not read.

    Returns:
        ``search`` or ``click``, and the value in lower case; None for anything else, and for an
        action without a value.
    """
    found = _ACTION.match(action)
    if found is None:
        return None
    value = _in_brackets(action[found.end() :])
    return (found[1].lower(), value) if value else None


def _in_brackets(rest: str) -> str:
    """What stands before the bracket that closes; before the last one where none does."""
    depth = 1
    end = rest.rfind("]")
    for at, sign in enumerate(rest):
        depth += _BRACKETS.get(sign, 0)
        if depth == 0:
            end = at
            break
    return _plain(rest[: max(end, 0)])


def _plain(value: str) -> str:
    return " ".join(value.lower().split())


class Session:
    """A visit with one goal, from the search page to the purchase.

    Args:
        stock: The shop.
        goal: What is to be bought.

    Attributes:
        page: The page it is on.
        reward: Of the purchase; None before it.
        chosen: Name of each chosen option to its value, on the product that is looked at.
    """

    def __init__(self, stock: Stock, goal: Goal) -> None:
        self._stock = stock
        self._goal = goal
        self._hits: Sequence[Product] = ()
        self._number = 1
        self._product: Product | None = None
        self._seen: set[str] = set()
        self.chosen: dict[str, str] = {}
        self.reward: Reward | None = None
        self.page: Page = search_page(goal)

    def act(self, action: str) -> bool:
        """Does one action.

        A search is possible from every page, as officially, though only one shows the field.

        Returns:
            False where the action is not possible: then nothing has changed.
        """
        match read_action(action):
            case _ if self.reward is not None:
                return False
            case ("search", keywords):
                self._search(keywords)
                return True
            case ("click", value):
                return self._click(value)
            case _:
                return False

    def _search(self, keywords: str) -> None:
        self._hits = self._stock.search(keywords, HITS)
        self._show_results(1)

    def _show_results(self, number: int) -> None:
        self._number = number
        self._product, self.chosen = None, {}
        shown = self._hits[(number - 1) * PER_PAGE : number * PER_PAGE]
        self.page = results_page(self._goal, shown, number, len(self._hits), self._seen)

    def _click(self, value: str) -> bool:
        clickable = {_plain(text): element for text, element in self.page.clickable.items()}
        element = clickable.get(value)
        if element is None:
            return False
        if element.role is Role.OPTION:
            self.chosen = {**self.chosen, element.option: element.text}
            self._show_item()
        elif element.role is Role.LINK:
            self._product = self._stock.product(element.text)
            self._seen.add(element.text)
            self._show_item()
        else:
            self._press(element.text)
        return True

    def _show_item(self) -> None:
        self.page = item_page(self._goal, self._looked_at(), self.chosen)

    def _looked_at(self) -> Product:
        assert self._product is not None, "no page without a product has such a button"  # noqa: S101
        return self._product

    def _press(self, button: str) -> None:
        if button == BACK_TO_SEARCH:
            self._hits, self._product, self.chosen, self._seen = (), None, {}, set()
            self.page = search_page(self._goal)
        elif button == NEXT:
            self._show_results(self._number + 1)
        elif button == PREVIOUS:
            self._go_back()
        elif button in SUB_PAGES:
            self.page = sub_page(self._goal, self._looked_at(), button)
        elif button == BUY:
            self._buy()

    def _go_back(self) -> None:
        """From a sub-page to the item, from an item to the results, from these a page back."""
        if self.page.kind is PageKind.SUB:
            self._show_item()
        elif self.page.kind is PageKind.ITEM:
            self._show_results(self._number)
        else:
            self._show_results(self._number - 1)

    def _buy(self) -> None:
        product = self._looked_at()
        wanted = self._stock.product(self._goal.asin)
        self.reward = reward_of(
            product, self.chosen.values(), self._goal, wanted, self._stock.tagger
        )
        self.page = done_page(product, self.chosen, self.reward.total)
