"""What a shopper is told to buy: human and synthetic goals, as WebShop makes them from its files.

A human goal is one instruction that a person wrote about a product (`items_human_ins`); a synthetic
one a product with one combination of its options (`items_ins_v2`). Both are told a price cap, which
the official implementation draws before it seeds its chance: there it differs from process to
process. Here it follows from the goal's key.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from metaplan.core import DataError, seed_from
from metaplan.environments.webshop.products import Product

__all__ = ["Goal", "human_goals", "official_order", "synthetic_goals"]

NO_CAP = 1_000_000.0
_CAPS = tuple(10.0 * tens for tens in range(1, 100))
_CAPS_CONSIDERED = 4
_OFFICIAL_SEED = 233


@dataclass(frozen=True)
class Goal:
    """One thing to buy.

    Attributes:
        id: Durable name: its kind, the product's identifier, and which of the product's goals.
        asin: The product that it was made from; another may do as well.
        instruction: What the shopper reads, with the price cap.
        attributes: At least one: what the product shall be.
        options: Values that shall be chosen; may be empty.
        price_cap: Dollars; the price shall not be higher.
        category: Of the product, e.g. ``beauty``.
    """

    id: str
    asin: str
    instruction: str
    attributes: tuple[str, ...]
    options: tuple[str, ...]
    price_cap: float
    category: str

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Goal:
        """A goal from its fields, as JSON has them."""
        options, attributes = tuple(data["options"]), tuple(data["attributes"])
        return cls(**{**data, "options": options, "attributes": attributes})


def human_goals(product: Product, entries: Sequence[Mapping[str, Any]]) -> Iterator[Goal]:
    """The goals that people wrote for a product; those that ask for no attribute are left out.

    Args:
        product: The product.
        entries: Its list in `items_human_ins`.

    Raises:
        DataError: An entry is malformed.
    """
    for number, entry in enumerate(entries):
        try:
            instruction = entry["instruction"].strip(".")
            attributes = tuple(entry["instruction_attributes"])
            options = tuple(entry["instruction_options"])
        except (KeyError, TypeError, AttributeError) as error:
            raise DataError(
                f"the human instruction {number} of product {product.asin} is malformed "
                f"({type(error).__name__}: {error})"
            ) from error
        if attributes:
            name = f"human-{product.asin}-{number}"
            yield _goal(name, product, instruction, attributes, options)


def synthetic_goals(product: Product, entry: Mapping[str, Any]) -> Iterator[Goal]:
    """A goal for every combination of a product's options; none where it has no instruction.

    Args:
        product: The product.
        entry: Its entry in `items_ins_v2`.
    """
    instruction, attributes = entry.get("instruction"), entry.get("instruction_attributes")
    if not instruction or not attributes:
        return
    names = sorted(product.options)
    combinations = itertools.product(*(product.options[name] for name in names))
    for number, values in enumerate(combinations):
        chosen = ", and ".join(map(": ".join, zip(names, values, strict=True)))
        told = f"{instruction} with {chosen}" if chosen else instruction
        name = f"synthetic-{product.asin}-{number}"
        yield _goal(name, product, told, tuple(attributes), values)


def _goal(
    name: str,
    product: Product,
    instruction: str,
    attributes: tuple[str, ...],
    options: tuple[str, ...],
) -> Goal:
    """Adds a price cap: the higher of two out of the next four tens above the price."""
    above = [cap for cap in _CAPS if cap > product.price][:_CAPS_CONSIDERED]
    cap = NO_CAP
    if len(above) > 1:
        cap = max(Random(seed_from("webshop/cap", name)).sample(above, 2))  # noqa: S311
        instruction = f"{instruction}, and price lower than {cap:.2f} dollars"
    return Goal(name, product.asin, instruction, attributes, options, cap, product.category)


def official_order(count: int) -> list[int]:
    """Which goal, counted in product order, stands at each place of the official order.

    The official implementation shuffles its goals with this seed; splits and the lists of other
    papers are places in that order.
    """
    order = list(range(count))
    Random(_OFFICIAL_SEED).shuffle(order)  # noqa: S311
    return order
