"""The follower in one episode of WebShop."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator

from metaplan.models.follower.moves import FollowerSettings, Move, Moves, chance
from metaplan.models.follower.reading import Conversation
from metaplan.models.follower.webshop.reading import (
    Intent,
    Offer,
    ShopPage,
    read_page,
    read_plan,
    read_wanted,
)

__all__ = ["WebShopPlayer"]

_OWN_PLAN = (
    "Search for everything that the instruction asks for.",
    "Select a product whose price fits.",
    "Choose the options that the instruction asks for.",
    "Click Buy Now.",
)
_MOST_PAGES = 3


class WebShopPlayer:
    """A `Player` that shops.

    Args:
        conversation: The instruction, with or without a plan.
        settings: How able it is.
        seed: The episode's.
    """

    def __init__(self, conversation: Conversation, settings: FollowerSettings, seed: int) -> None:
        self._plan = conversation.plan
        self._settings = settings
        self._seed = seed
        self._instruction = conversation.task.partition(" [SEP] Search")[0].strip()
        self._wanted = read_wanted(self._instruction)
        self._page = ShopPage("search")
        self._query = ""
        self._tried: set[str] = set()
        self._judged_by = Intent("select", "")

    def chance(self, turn: int) -> random.Random:
        """See `Player.chance`."""
        return chance((self._instruction,), self._seed, turn)

    def observe(self, action: str, observation: str) -> None:
        """See `Player.observe`."""
        if action:
            self._page = read_page(observation)

    def slip(self, chance: random.Random) -> Move:
        """See `Player.slip`."""
        pressed = [f"click[{button}]" for button in self._page.buttons]
        looked = [f"click[{offer.asin}]" for offer in self._page.offers]
        action = chance.choice(pressed + looked or [f"search[{self._wanted.kind}]"])
        return Move(action, "Let me see.")

    def moves(self) -> Moves:
        """See `Player.moves`."""
        whole = self.chance(-1)
        steps = self._plan.steps if self._plan else _OWN_PLAN
        forgets = self._plan is None and whole.random() < self._settings.forgetfulness
        last = Move(f"search[{self._wanted.kind}]", "I begin with a search.")
        for intent in read_plan(steps):
            if whole.random() < self._settings.skip_rate:
                continue
            for move in self._carry_out(intent, forgets=forgets):
                last = move
                yield move
        while True:
            yield from self._return()
            yield last

    def _carry_out(self, intent: Intent, *, forgets: bool) -> Moves:
        match intent.verb:
            case "search":
                yield self._search(self._words_for(intent))
            case "again" if self._page.kind == "results" and not self._fitting(intent):
                yield self._search(self._wanted.text)
            case "next":
                yield from self._turn_pages()
            case "select":
                self._judged_by = intent
                yield from self._select()
            case "check":
                yield from self._check(intent)
            case "choose":
                yield from self._return()
                yield from self._choose(intent, forgets=forgets)
            case "buy":
                yield from self._return()
                yield Move("click[Buy Now]", "This is what I buy.")

    def _words_for(self, intent: Intent) -> str:
        if intent.everything:
            return self._wanted.text
        return " ".join([self._wanted.kind, *self._wanted.features * intent.features])

    def _search(self, query: str) -> Move:
        self._query = query
        return Move(f"search[{query}]", "I search in these words.")

    def _turn_pages(self) -> Moves:
        for _ in range(_MOST_PAGES - 1):
            if self._fitting(self._judged_by) or "Next >" not in self._page.buttons:
                return
            yield Move("click[Next >]", "Nothing here fits.")

    def _fitting(self, intent: Intent) -> list[Offer]:
        """What may be right: in price, and with all wanted features in the title."""
        wanted = set(self._wanted.features)
        return [
            offer
            for offer in self._affordable(intent)
            if wanted <= set(re.findall(r"[a-z0-9]+", offer.title.lower()))
        ]

    def _affordable(self, intent: Intent) -> list[Offer]:
        offers = [offer for offer in self._page.offers if offer.asin not in self._tried]
        if not intent.price:
            return offers
        return [offer for offer in offers if offer.price <= self._wanted.price_cap]

    def _select(self) -> Moves:
        intent = self._judged_by
        if self._page.kind != "results":
            yield self._search(self._query or self._wanted.kind)
        offers = self._affordable(intent) or list(self._page.offers)
        if not offers:
            return
        best = max(offers, key=self._named) if intent.title else offers[0]
        self._tried.add(best.asin)
        yield Move(f"click[{best.asin}]", f"{best.title} may be right.")

    def _return(self) -> Moves:
        """To the product, where a slip has led away from it."""
        if self._page.kind == "details":
            yield Move("click[< Prev]", "Back to the product.")
        if self._page.kind != "item":
            self._tried.clear()
            yield from self._select()

    def _named(self, offer: Offer) -> int:
        """How many of the wanted features a title names; of equals the first counts."""
        words = set(re.findall(r"[a-z0-9]+", offer.title.lower()))
        return sum(feature in words for feature in self._wanted.features)

    def _check(self, intent: Intent) -> Moves:
        """Looks closer, once; if something is missing, takes the next best."""
        if self._page.kind != "item":
            return
        button = next(
            name for name in ("Description", "Reviews", "Features")
            if name.lower()[:6] in intent.text or name == "Features"
        )  # fmt: skip
        title = self._page.text
        yield Move(f"click[{button}]", "I look closer.")
        details = self._page
        if details.kind != "details":
            return
        said = f"{title} {details.text}"
        if button == "Features" and not all(word in said for word in self._wanted.features):
            yield self._search(self._query or self._wanted.kind)
            yield from self._select()
        else:
            yield Move("click[< Prev]", "That fits.")

    def _choose(self, intent: Intent, *, forgets: bool) -> Moves:
        """Chooses, of the options that the plan names, the values that the instruction has."""
        values = list(self._values(intent))
        for value in values[:-1] if forgets else values:
            yield Move(f"click[{value}]", f"The instruction says {value}.")

    def _values(self, intent: Intent) -> Iterator[str]:
        words = re.findall(r"[^\s,:]+", self._instruction.lower())
        said = " ".join(["", *words, ""])
        for name, values in self._page.options.items():
            if name not in intent.text and "option" not in intent.text:
                continue
            asked = [value for value in values if f" {value} " in said]
            named = [value for value in asked if f"{name} {value}" in said]
            if asked:
                yield max(named or asked, key=len)
