"""A shop as a worker keeps it: products, goals, search, and the tagger of its rewards."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from metaplan.core import DataError, digest
from metaplan.environments.data import cache_directory
from metaplan.environments.webshop.builtin import GENERATOR_VERSION, builtin_shop
from metaplan.environments.webshop.catalogue import Catalogue, Stocked, store
from metaplan.environments.webshop.files import HUMAN, SHOPS, Entries, read_json, required
from metaplan.environments.webshop.goals import Goal, human_goals, synthetic_goals
from metaplan.environments.webshop.nouns import NounTagger, choose_tagger
from metaplan.environments.webshop.products import Product, is_listed, read_product

if TYPE_CHECKING:
    from metaplan.environments.webshop.search import SearchIndex

__all__ = ["BUILTIN", "SHOP_NAMES", "Shop", "open_shop"]

BUILTIN = "builtin"
SHOP_NAMES = (BUILTIN, *SHOPS)

_FORMAT = "1"
# Every combination of options is a goal: some seven a product. The whole catalogue would have
# millions, which nobody uses.
_WITH_SYNTHETIC_GOALS = frozenset({"1000"})


class Shop:
    """A shop that is open.

    Args:
        catalogue: Its products and goals.
        tagger: Finds the nouns of titles.
    """

    def __init__(self, catalogue: Catalogue, tagger: NounTagger) -> None:
        self.catalogue = catalogue
        self.tagger = tagger

    @cached_property
    def goals(self) -> Mapping[str, Goal]:
        """Every goal by its name, in the order of the products."""
        return {goal.id: goal for goal in self.catalogue.goals}

    def product(self, asin: str) -> Product:
        """See `Catalogue.product`."""
        return self.catalogue.product(asin)

    def search(self, query: str, limit: int) -> Sequence[Product]:
        """What a search finds, in Lucene's order."""
        return [self.catalogue[position] for position in self._index.search(query, limit)]

    @cached_property
    def _index(self) -> SearchIndex:
        from metaplan.environments.webshop.search import SearchIndex

        catalogue = self.catalogue
        return SearchIndex.open(
            catalogue.documents, catalogue.directory / "search", tie_order=catalogue.by_asin
        )


@cache
def open_shop(name: str) -> Shop:
    """Opens a shop: ``builtin``, ``1000`` or ``full``; once in a process.

    The first process ever that asks writes the catalogue (the whole one: minutes).

    Raises:
        DataError: Its files are missing or damaged.
    """
    if name not in SHOP_NAMES:
        raise DataError(f"there is no shop {name!r}; there are: {', '.join(SHOP_NAMES)}")
    directory = _store_builtin() if name == BUILTIN else _store_files(name)
    return Shop(Catalogue(directory), choose_tagger())


def _store_builtin() -> Path:
    directory = _place(BUILTIN, GENERATOR_VERSION)
    if not directory.is_dir():
        shop = builtin_shop()
        stocked = _stock(shop.products, shop.attributes, shop.human)
        store(directory, stocked, lambda: {"generator": GENERATOR_VERSION})
    return directory


def _store_files(name: str) -> Path:
    files = SHOPS[name]
    paths = [required(source) for source in (files.products, files.attributes, HUMAN)]
    states = [path.stat() for path in paths]
    directory = _place(name, *((state.st_size, state.st_mtime_ns) for state in states))
    if not directory.is_dir():
        products, attributes, human = paths
        entries = Entries(products)
        stocked = _stock(
            entries,
            read_json(attributes),
            read_json(human),
            synthetic=name in _WITH_SYNTHETIC_GOALS,
        )
        store(directory, stocked, _facts(entries, attributes, human))
    return directory


def _place(name: str, *facts: Any) -> Path:
    return cache_directory() / "webshop" / f"{name}-{digest(_FORMAT, *facts)}"


def _facts(entries: Entries, *others: Path) -> Callable[[], Mapping[str, str]]:
    return lambda: {
        "products": entries.checksum[:16],
        **{path.stem: _checksum(path)[:16] for path in others},
    }


def _checksum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _stock(
    entries: Iterable[Mapping[str, Any]],
    attributes: Mapping[str, Mapping[str, Any]],
    human: Mapping[str, Sequence[Mapping[str, Any]]],
    *,
    synthetic: bool = False,
) -> Iterator[Stocked]:
    """Products with their goals; of those with one identifier the first counts, as officially."""
    known: set[str] = set()
    for entry in entries:
        asin = entry.get("asin", "nan")
        if asin in known or not is_listed(entry):
            continue
        known.add(asin)
        about = attributes.get(asin, {})
        product = read_product(entry, about.get("attributes"))
        goals = list(human_goals(product, human.get(asin, ())))
        if synthetic:
            goals += synthetic_goals(product, about)
        yield Stocked(product, tuple(goals))
