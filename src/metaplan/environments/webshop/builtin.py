"""A small shop of our own: invented products in WebShop's format, with nothing to download.

480 products of 15 kinds in WebShop's five categories, and six instructions for each. They are drawn
by seed from the words in ``words/builtin.json`` and come in the form of the official files, so that
they go the same way as these.

**What is built in.** Of a product's three to five attributes, the title names two, the features
all: who wants to know must look. Products of a kind share attributes, so that what looks right is
often only partly right. An instruction asks for one to three attributes and for some of the
options. A product may have a price range, or no price (then it counts as 100 dollars), and may lack
one of its kind's options.

**What it does not.** No misspelt instructions, no products under a wrong category, no titles that
say everything at once, one language register: it is far easier than WebShop.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from random import Random
from typing import Any

from metaplan.core import digest, seed_from

__all__ = ["GENERATOR_VERSION", "BuiltinShop", "builtin_shop", "part_of"]

GENERATOR_VERSION = "1"
"""Counts up with every change that alters a product or a goal: old keys then name others."""

_OF_A_KIND = 32
_GOALS_EACH = 6
_PACKAGE = __name__.rpartition(".")[0]
_OPENINGS = (
    "i need {thing}",
    "i am looking for {thing}",
    "find me {thing}",
    "i want to buy {thing}",
)
_HAVING = (" with {}", " that has {}", " featuring {}")
_CHOSEN = (", and the {name} should be {value}", ", {name}: {value}", ", in {name} {value}")


@dataclass(frozen=True)
class BuiltinShop:
    """The content of the three official files.

    Attributes:
        products: As `items_shuffle`.
        attributes: As `items_ins_v2`, by identifier.
        human: As `items_human_ins`, by identifier.
    """

    products: Sequence[Mapping[str, Any]]
    attributes: Mapping[str, Mapping[str, Any]]
    human: Mapping[str, Sequence[Mapping[str, Any]]]


def part_of(asin: str) -> str:
    """Which task set the goals of a product belong to: ``train``, ``validation`` or ``test``."""
    place = seed_from("webshop/builtin/part", asin) % 10
    return "train" if place < 7 else "validation" if place < 8 else "test"


@cache
def _words() -> Mapping[str, Any]:
    text = (resources.files(_PACKAGE) / "words" / "builtin.json").read_text("utf-8")
    words: Mapping[str, Any] = json.loads(text)
    return words


def builtin_shop() -> BuiltinShop:
    """Draws the whole shop; equal in every process."""
    drawn = [_draw(kind, number) for kind in _words()["kinds"] for number in range(_OF_A_KIND)]
    Random(seed_from("webshop/builtin/order")).shuffle(drawn)  # noqa: S311
    return BuiltinShop(
        products=[product for product, _, _ in drawn],
        attributes={product["asin"]: {"attributes": own} for product, own, _ in drawn},
        human={product["asin"]: goals for product, _, goals in drawn},
    )


def _draw(
    kind: Mapping[str, Any], number: int
) -> tuple[dict[str, Any], list[str], list[dict[str, Any]]]:
    """A product, its attributes, and its instructions."""
    chance = Random(seed_from("webshop/builtin", GENERATOR_VERSION, kind["query"], number))  # noqa: S311
    own = chance.sample(kind["attributes"], chance.randint(3, 5))
    options = {
        name: [value for value in values if chance.random() < 0.7] or [values[0]]
        for name, values in kind["options"].items()
        if chance.random() < 0.85
    }
    asin = f"M{digest(kind['query'], number)[:9].upper()}"
    product = {
        "asin": asin,
        "name": _title(kind, own, chance),
        "full_description": f"Made for {' and '.join(chance.sample(kind['uses'], 2))}.",
        "small_description": _features(own, kind, chance),
        "pricing": _pricing(kind["price"], chance),
        "customization_options": {
            name.capitalize(): [{"value": value, "image": None} for value in values]
            for name, values in options.items()
        },
        "category": kind["category"],
        "query": kind["query"],
        "product_category": kind["path"],
    }
    goals = [_instruction(kind, own, options, chance) for _ in range(_GOALS_EACH)]
    return product, own, goals


def _title(kind: Mapping[str, Any], own: Sequence[str], chance: Random) -> str:
    brand, line = chance.choice(_words()["brands"]), chance.choice(_words()["lines"])
    named = ", ".join(attribute.title() for attribute in own[:2])
    use = chance.choice(kind["uses"])
    return f"{brand} {line} {chance.choice(kind['heads'])} for {use.title()}, {named}"


def _features(own: Sequence[str], kind: Mapping[str, Any], chance: Random) -> list[str]:
    claims = [f"{attribute.capitalize()}, for every day." for attribute in own]
    claims.append(f"Good for {chance.choice(kind['uses'])}.")
    chance.shuffle(claims)
    return claims


def _pricing(span: Sequence[int], chance: Random) -> str:
    low = chance.randint(*span) - 0.01
    form = chance.random()
    if form < 0.05:
        return ""
    if form < 0.2:
        return f"${low:.2f} - ${low + chance.randint(2, 15):.2f}"
    return f"${low:.2f}"


def _instruction(
    kind: Mapping[str, Any],
    own: Sequence[str],
    options: Mapping[str, Sequence[str]],
    chance: Random,
) -> dict[str, Any]:
    """What a person might write who wants this product."""
    wanted = chance.sample(own, chance.randint(1, 3))
    chosen = {
        name: chance.choice(values) for name, values in options.items() if chance.random() < 0.8
    }
    told = chance.choice(_OPENINGS).format(thing=kind["noun"])
    told += chance.choice(_HAVING).format(" and ".join(wanted))
    for name, value in chosen.items():
        told += chance.choice(_CHOSEN).format(name=name, value=value)
    return {
        "instruction": f"{told}.",
        "instruction_attributes": wanted,
        "instruction_options": list(chosen.values()),
    }
