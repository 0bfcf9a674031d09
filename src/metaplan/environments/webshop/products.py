"""A product of the shop, read from WebShop's official files (`items_shuffle`, `items_ins_v2`)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from random import Random
from typing import Any, Self

from metaplan.core import DataError, seed_from

__all__ = ["Product", "index_text", "is_listed", "read_product"]

_NO_PRICE = 100.0
_LONGEST_ASIN = 10
_NOT_A_NUMBER = re.compile(r"[^\d.]")


@dataclass(frozen=True)
class Product:
    """One product.

    Attributes:
        asin: Its identifier in the shop, at most ten characters.
        title: Also what its kind is told from, in the reward.
        description: Free text; may be empty.
        bullets: Its features.
        pricing: Dollars: one price, or the two ends of a range.
        options: Name of each option to its values, all in lower case.
        attributes: What it is said to be, e.g. "gluten free"; not shown on any page.
        category: One of WebShop's five, e.g. ``beauty``.
        query: The search that found it when the shop was made; lower case.
        product_category: Its path in the shop, e.g. ``Home & Kitchen › Furniture``.
    """

    asin: str
    title: str
    description: str
    bullets: tuple[str, ...]
    pricing: tuple[float, ...]
    options: Mapping[str, tuple[str, ...]]
    attributes: tuple[str, ...]
    category: str
    query: str
    product_category: str

    @property
    def price_tag(self) -> str:
        """The price as pages show it."""
        return " to ".join(f"${price}" for price in self.pricing)

    @cached_property
    def price(self) -> float:
        """What it costs: in a range, a price drawn by the product's own seed.

        The official implementation draws it anew in every process, unseeded.
        """
        if len(self.pricing) == 1:
            return self.pricing[0]
        chance = Random(seed_from("webshop/price", self.asin))  # noqa: S311
        return chance.uniform(*self.pricing)

    def as_data(self) -> dict[str, Any]:
        """What `from_data` reads; JSON-serialisable."""
        return asdict(self)

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Self:
        """A product from what `as_data` gave, also through JSON."""
        sequences = {key: tuple(data[key]) for key in ("bullets", "pricing", "attributes")}
        options = {name: tuple(values) for name, values in data["options"].items()}
        return cls(**{**data, **sequences, "options": options})


def is_listed(entry: Mapping[str, Any]) -> bool:
    """Whether an entry of `items_shuffle` is a product: its identifier is one."""
    asin = entry["asin"]
    return asin != "nan" and len(asin) <= _LONGEST_ASIN


def read_product(entry: Mapping[str, Any], attributes: Sequence[str] | None) -> Product:
    """Reads an entry of `items_shuffle`.

    Args:
        entry: The entry.
        attributes: Of `items_ins_v2`; None where it knows nothing of the product.

    Raises:
        DataError: A field is missing or is of another kind.
    """
    try:
        bullets = entry["small_description"]
        return Product(
            asin=entry["asin"],
            title=entry["name"],
            description=entry["full_description"] or "",
            bullets=tuple(bullets) if isinstance(bullets, list) else (bullets or "",),
            pricing=_read_pricing(entry.get("pricing")),
            options=_read_options(entry["customization_options"]),
            attributes=("DUMMY_ATTR",) if attributes is None else tuple(attributes),
            category=entry["category"],
            query=entry["query"].lower().strip(),
            product_category=entry["product_category"],
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"product {entry.get('asin', '?')!r} is malformed ({type(error).__name__}: {error}): "
            "expected an entry as in WebShop's items_shuffle.json"
        ) from error


def _read_pricing(text: str | None) -> tuple[float, ...]:
    """Reads "$1,299.00", or a range as "$16.99 - $26.99"; without a price, 100 dollars."""
    found = [_NOT_A_NUMBER.sub("", part).rstrip(".") for part in (text or "").split("$")[1:]]
    prices = tuple(float(digits) for digits in found if digits and digits.count(".") <= 1)
    return prices[:2] or (_NO_PRICE,)


def _read_options(choices: Mapping[str, Any] | str | None) -> dict[str, tuple[str, ...]]:
    return {
        name.lower(): tuple(value["value"].strip().replace("/", " | ").lower() for value in values)
        for name, values in (choices.items() if isinstance(choices, Mapping) else ())
        if values is not None
    }


def index_text(product: Product) -> str:
    """What the search engine reads: title, description, first feature, options; lower case."""
    options = ", and ".join(
        f"{name}: {', '.join(values)}" for name, values in product.options.items()
    )
    first = product.bullets[0] if product.bullets else ""
    return " ".join([product.title, product.description, first, options]).lower()
