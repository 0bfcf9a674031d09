"""What a purchase is worth: WebShop's reward, with its parts.

    reward = type × (attributes matched + options matched + price ok) / (attributes + options + 1)

Yao et al. (2022), section 3.1 and appendix A.5, in the form of the official code.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from metaplan.environments.webshop.goals import Goal
from metaplan.environments.webshop.matching import alike, colour_of
from metaplan.environments.webshop.nouns import NounTagger
from metaplan.environments.webshop.products import Product

__all__ = ["Reward", "Type", "compare_types", "reward_of"]

_SHARED_CATEGORIES = 2
_NO_NOUNS = 0.2


@dataclass(frozen=True)
class Type:
    """Whether a product is of the wanted kind.

    Attributes:
        factor: 1, 0.5, 0.1 or 0.
        query_match: Both were found by the same search when the shop was made.
        category_match: Their paths in the shop share two names.
        title_score: Share of the wanted title's nouns that are in the other, in [0, 1].
    """

    factor: float
    query_match: bool
    category_match: bool
    title_score: float


@dataclass(frozen=True)
class Reward:
    """A purchase against its goal.

    Attributes:
        total: In [0, 1].
        type: Of the product bought.
        attributes: How many of the goal's attributes it has.
        attributes_wanted: How many the goal has; at least 1.
        options: How many of the goal's options were chosen.
        options_wanted: How many the goal has.
        price_ok: Whether the price is no higher than the cap.
    """

    total: float
    type: Type
    attributes: int
    attributes_wanted: int
    options: int
    options_wanted: int
    price_ok: bool

    def as_info(self) -> dict[str, Any]:
        """All parts, JSON-serialisable."""
        return asdict(self)


def reward_of(
    product: Product, chosen: Iterable[str], goal: Goal, wanted: Product, tagger: NounTagger
) -> Reward:
    """Compares a purchase with its goal.

    Args:
        product: What was bought.
        chosen: The option values that were chosen.
        goal: What was to be bought.
        wanted: The product that the goal was made from.
        tagger: Finds the nouns of titles.
    """
    type_ = compare_types(product, wanted, tagger)
    attributes = sum(_has(product, attribute) for attribute in goal.attributes)
    colours = [colour_of(value) for value in chosen]
    options = sum(
        any(alike(value, colour_of(option)) for value in colours) for option in goal.options
    )
    price_ok = product.price <= goal.price_cap
    matched = attributes + options + price_ok
    return Reward(
        total=type_.factor * (matched / (len(goal.attributes) + len(goal.options) + 1)),
        type=type_,
        attributes=attributes,
        attributes_wanted=len(goal.attributes),
        options=options,
        options_wanted=len(goal.options),
        price_ok=price_ok,
    )


def compare_types(product: Product, wanted: Product, tagger: NounTagger) -> Type:
    """Whether a product is of the kind of another."""
    query_match = product.query == wanted.query
    category_match = len(_path(product) & _path(wanted)) >= _SHARED_CATEGORIES
    nouns = tagger.nouns(wanted.title)
    shared = set(nouns) & set(tagger.nouns(product.title))
    # As officially: what is shared is counted once, the wanted nouns as often as they stand there.
    title_score = len(shared) / len(nouns) if nouns else _NO_NOUNS
    return Type(
        factor=_factor(title_score, alike=query_match or category_match),
        query_match=query_match,
        category_match=category_match,
        title_score=title_score,
    )


def _factor(title_score: float, *, alike: bool) -> float:
    if title_score == 0.0:
        return 0.0
    if title_score < 0.1:
        return 0.1
    return 1.0 if alike or title_score > 0.2 else 0.5


def _path(product: Product) -> set[str]:
    return {name.strip() for name in product.product_category.split("›")}


def _has(product: Product, attribute: str) -> bool:
    """Whether a product has an attribute by its list, or by the letters of its texts."""
    return (
        any(alike(own, attribute) for own in product.attributes)
        or attribute in product.title.lower()
        or attribute in " ".join(product.bullets).lower()
        or attribute in product.description.lower()
    )
