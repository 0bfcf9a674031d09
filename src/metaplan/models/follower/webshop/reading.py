"""What the follower reads in WebShop: instructions, pages, and plans."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

__all__ = ["Intent", "Offer", "ShopPage", "Wanted", "read_page", "read_plan", "read_wanted"]

_SEPARATOR = " [SEP] "
_CAP = re.compile(r",? and price lower than ([\d.]+) dollars.*$", re.DOTALL)
_OPENING = re.compile(
    r"^(?:i need|i am looking for|i'm looking for|find me|i want to buy|i want|show me)"
    r"(?: an?| some)? "
)
_KIND_END = re.compile(r" (?:with|that|which|featuring|having|in|for|made)\b|,")
_OPTION_CLAUSE = re.compile(r",? and the \w+ should be |, \w+: |, in \w+ ")
_OPTION_NAME = re.compile(
    r"(?:.* )?(?:capacity|color|configuration|design|edition|fit|flavor|item|length|material|number"
    r"|pattern|quantity|scale|scent|shape|size|style|team|wattage)(?: name)?"
)
_PRICE = re.compile(r"\$([\d.]+)")
_WORD = re.compile(r"[a-z0-9]+")
_EMPTY = frozenset({"a", "an", "and", "for", "i", "in", "is", "me", "of", "that", "the", "with"})


@dataclass(frozen=True, slots=True)
class Wanted:
    """An instruction, understood as far as its sentences go.

    Attributes:
        text: Without the price.
        kind: What kind of thing it is.
        features: The words that say how it shall be.
        price_cap: Dollars; infinite where none is named.
    """

    text: str
    kind: str
    features: tuple[str, ...]
    price_cap: float


def read_wanted(instruction: str) -> Wanted:
    """Reads an instruction, e.g. "i need lip balm with shea butter, and price lower than …"."""
    cap = _CAP.search(instruction)
    plain = _CAP.sub("", instruction).strip()
    bare = _OPENING.sub("", plain.lower())
    kind = _KIND_END.split(bare, maxsplit=1)[0]
    said = _OPTION_CLAUSE.split(bare, maxsplit=1)[0][len(kind) :]
    features = (word for word in _WORD.findall(said) if word not in _EMPTY)
    return Wanted(
        text=re.sub(r"\b(\w+): ", r"\1 ", plain),
        kind=kind,
        features=tuple(word for word in features if word not in {"has", "featuring", "having"}),
        price_cap=float(cap[1].rstrip(".")) if cap else float("inf"),
    )


@dataclass(frozen=True, slots=True)
class Offer:
    """A product among the results; the price is the lowest that it may have."""

    asin: str
    title: str
    price: float


@dataclass(frozen=True, slots=True)
class ShopPage:
    """A page as the follower sees it.

    Attributes:
        kind: Which kind of page.
        offers: On a page of results.
        options: On an item's page: each option's values.
        text: Of an item's title, or of its details; lower case.
        buttons: What can be pressed without harm.
    """

    kind: Literal["search", "results", "item", "details"]
    offers: tuple[Offer, ...] = ()
    options: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    text: str = ""
    buttons: tuple[str, ...] = ()


def read_page(observation: str) -> ShopPage:
    """Reads a page told with ``[SEP]``; a plan that follows it is not read."""
    parts = observation.partition("\n\n")[0].split(_SEPARATOR)
    buttons = tuple(part for part in ("< Prev", "Next >", "Description") if part in parts)
    for at, part in enumerate(parts):
        if part.startswith("Page ") and "(Total results:" in part:
            shown = [part for part in parts[at + 1 :] if part not in {"< Prev", "Next >"}]
            return ShopPage("results", offers=tuple(_offers(shown)), buttons=buttons)
        if part.startswith("Price: $"):
            options = _options(parts[parts.index("< Prev") + 1 : at - 1])
            return ShopPage("item", options=options, text=parts[at - 1].lower(), buttons=buttons)
    if "< Prev" in parts:
        text = " ".join(parts[parts.index("< Prev") + 1 :]).lower()
        return ShopPage("details", text=text, buttons=buttons)
    return ShopPage("search")


def _offers(parts: Sequence[str]) -> Iterator[Offer]:
    for asin, title, tag in zip(parts[::3], parts[1::3], parts[2::3], strict=False):
        price = _PRICE.match(tag)
        yield Offer(asin, title, float(price[1].rstrip(".")) if price else float("inf"))


def _options(parts: Sequence[str]) -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    name = ""
    for part in parts:
        if _OPTION_NAME.fullmatch(part):
            name = part
            found[name] = []
        elif name:
            found[name].append(part)
    return {name: tuple(values) for name, values in found.items()}


@dataclass(frozen=True, slots=True)
class Intent:
    """What a step of a plan asks for.

    Attributes:
        verb: What to do.
        everything: A search with all that is asked for.
        features: A search with the features.
        title: A product is told by its title.
        price: A product is told by its price.
        text: The step.
    """

    verb: Literal["search", "again", "next", "select", "check", "choose", "buy", "other"]
    text: str
    everything: bool = False
    features: bool = False
    title: bool = False
    price: bool = False


def read_plan(steps: Sequence[str]) -> list[Intent]:
    """Reads the steps of a plan."""
    return [_read_step(step.lower()) for step in steps]


def _read_step(text: str) -> Intent:
    def says(*words: str) -> bool:
        return any(word in text for word in words)

    if says("buy", "purchase"):
        return Intent("buy", text)
    if says("next page", "next >"):
        return Intent("next", text)
    if says("search"):
        return Intent(
            "again" if says("again", "other words") else "search",
            text,
            everything=says("everything", " all ", "whole"),
            features=says("feature", "attribute", "detail"),
        )
    if says("check", "look at the", "read", "verify") and says("feature", "description", "review"):
        return Intent("check", text)
    if not says("choose", "select", "click", "pick", "open"):
        return Intent("other", text)
    title, price = says("title", "match", "name"), says("price", "budget", "cheap")
    return Intent(
        "select" if says("product", "item", "result") else "choose", text, title=title, price=price
    )
