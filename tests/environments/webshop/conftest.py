"""A shelf of five products, and the sample of real data where it is."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from metaplan.environments.webshop.goals import Goal
from metaplan.environments.webshop.nouns import RuleTagger
from metaplan.environments.webshop.products import Product


@pytest.fixture(scope="package", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Catalogues are written below a directory of the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@dataclass
class Shelf:
    """A shop whose search finds every product, in order."""

    products: Sequence[Product]
    tagger: RuleTagger = field(default_factory=RuleTagger)

    def product(self, asin: str) -> Product:
        return next(product for product in self.products if product.asin == asin)

    def search(self, query: str, limit: int) -> Sequence[Product]:
        return self.products[:limit] if query != "nothing" else ()


@pytest.fixture(scope="package")
def make_product():
    """Makes a product; fields that don't matter have values of their own."""

    def make(number: int = 0, **fields) -> Product:
        plain = {
            "asin": f"B{number:09d}",
            "title": f"Acme Kettle {number}, Red",
            "description": "Boils water.",
            "bullets": ("Stainless steel body.", "Easy to clean."),
            "pricing": (20.0,),
            "options": {"color": ("red", "dark blue"), "size": ("1 liter", "2 liter")},
            "attributes": ("stainless steel", "auto shutoff"),
            "category": "garden",
            "query": "kettles",
            "product_category": "Home & Kitchen › Kitchen & Dining › Kettles",
        }
        return Product(**{**plain, **fields})

    return make


@pytest.fixture(scope="package")
def goal() -> Goal:
    """A red kettle of one liter."""
    return Goal(
        id="human-B000000000-0",
        asin="B000000000",
        instruction="i need a red kettle, and price lower than 30.00 dollars",
        attributes=("stainless steel", "auto shutoff"),
        options=("red", "1 liter"),
        price_cap=30.0,
        category="garden",
    )


@pytest.fixture(scope="package")
def make_shelf():
    """Makes a shop of these products."""
    return Shelf


@pytest.fixture
def sample() -> None:
    """The 1,000 products; without them the test is skipped, or fails where they are due."""
    named = os.environ.get("METAPLAN_DATA", "")
    if not (Path(named) / "webshop").is_dir():
        required = os.environ.get("METAPLAN_REQUIRE_DATA")
        (pytest.fail if required else pytest.skip)("no WebShop files in METAPLAN_DATA")
