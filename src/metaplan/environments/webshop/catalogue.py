"""The products of a shop on disk: read once from the official files, then one by one when needed.

A worker that knows 1.18 million products would hold gigabytes of them. So they are written once
into the cache, one JSON line each, with a table of where each line begins; workers map the files
and share their pages.
"""

from __future__ import annotations

import json
import mmap
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import overload

from metaplan.core import DataError
from metaplan.environments.data.directories import locked
from metaplan.environments.webshop.goals import Goal
from metaplan.environments.webshop.products import Product, index_text

__all__ = ["Catalogue", "Stocked", "store"]

_ASIN_BYTES = 10


@dataclass(frozen=True)
class Stocked:
    """A product on its way into a catalogue, with the goals that ask for it."""

    product: Product
    goals: tuple[Goal, ...]


def store(
    directory: Path, stocked: Iterable[Stocked], facts: Callable[[], Mapping[str, str]]
) -> None:
    """Writes a catalogue, where it is not there yet.

    Several processes may ask for one at a time: one of them writes, into a directory that gets its
    name when it is complete.

    Args:
        directory: Where it shall lie.
        stocked: In the order of the shop.
        facts: What identifies the data; asked after the last product.

    Raises:
        DataError: The data is malformed, or the disk is full.
    """
    if directory.is_dir():
        return
    partial = directory.with_name(f"{directory.name}.partial")
    with locked(directory.with_name(f"{directory.name}.lock")):
        if directory.is_dir():
            return
        shutil.rmtree(partial, ignore_errors=True)
        try:
            partial.mkdir(parents=True)
            _write(partial, stocked)
            (partial / "facts.json").write_text(json.dumps(dict(facts())), "utf-8")
            partial.rename(directory)
        except OSError as error:
            raise DataError(f"{directory} can't be written: {error.strerror or error}") from error
        finally:
            shutil.rmtree(partial, ignore_errors=True)


def _write(directory: Path, stocked: Iterable[Stocked]) -> None:
    import numpy as np

    starts, asins, goals = [0], [], []
    with (directory / "products.jsonl").open("wb") as file:
        for item in stocked:
            file.write(json.dumps(item.product.as_data(), separators=(",", ":")).encode() + b"\n")
            starts.append(file.tell())
            asins.append(item.product.asin.encode())
            goals += [asdict(goal) for goal in item.goals]
    if not asins:
        raise DataError("the catalogue has no products")
    names = np.array(asins, dtype=f"S{_ASIN_BYTES}")
    order = np.argsort(names, kind="stable")
    np.save(directory / "starts.npy", np.array(starts, dtype=np.int64))
    np.save(directory / "asins.npy", names[order])
    np.save(directory / "positions.npy", order.astype(np.int32))
    (directory / "goals.json").write_text(json.dumps(goals), "utf-8")


class Catalogue(Sequence[Product]):
    """The products of a shop, in its order.

    Args:
        directory: Where `store` has put them.
    """

    def __init__(self, directory: Path) -> None:
        import numpy as np

        self.directory = directory
        self._starts = np.load(directory / "starts.npy", mmap_mode="r")
        self._asins = np.load(directory / "asins.npy", mmap_mode="r")
        self._positions = np.load(directory / "positions.npy", mmap_mode="r")
        with (directory / "products.jsonl").open("rb") as file:
            self._lines = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)

    def __len__(self) -> int:
        return len(self._positions)

    @overload
    def __getitem__(self, position: int) -> Product: ...
    @overload
    def __getitem__(self, position: slice) -> Sequence[Product]: ...
    def __getitem__(self, position: int | slice) -> Product | Sequence[Product]:
        if isinstance(position, slice):
            return [self[at] for at in range(*position.indices(len(self)))]
        if not -len(self) <= position < len(self):
            raise IndexError(position)
        at = position % len(self)
        line = self._lines[int(self._starts[at]) : int(self._starts[at + 1])]
        return Product.from_data(json.loads(line))

    def __iter__(self) -> Iterator[Product]:
        return (self[at] for at in range(len(self)))

    def product(self, asin: str) -> Product:
        """The product of an identifier.

        Raises:
            KeyError: There is none.
        """
        import numpy as np

        name = np.bytes_(asin.encode())
        at = int(np.searchsorted(self._asins, name))
        if at == len(self) or self._asins[at] != name:
            raise KeyError(asin)
        return self[int(self._positions[at])]

    @cached_property
    def goals(self) -> tuple[Goal, ...]:
        """All goals, in the order of their products."""
        data = json.loads((self.directory / "goals.json").read_bytes())
        return tuple(Goal.from_data(goal) for goal in data)

    @cached_property
    def facts(self) -> Mapping[str, str]:
        """What identifies the data."""
        facts: dict[str, str] = json.loads((self.directory / "facts.json").read_bytes())
        return facts

    @property
    def by_asin(self) -> Sequence[int]:
        """The positions of the products in the order of their identifiers."""
        positions: Sequence[int] = self._positions
        return positions

    @property
    def documents(self) -> Sequence[str]:
        """What the search engine reads of each product."""
        return _Documents(self)


class _Documents(Sequence[str]):
    """The products' texts, made when they are asked for."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue

    def __len__(self) -> int:
        return len(self._catalogue)

    @overload
    def __getitem__(self, position: int) -> str: ...
    @overload
    def __getitem__(self, position: slice) -> Sequence[str]: ...
    def __getitem__(self, position: int | slice) -> str | Sequence[str]:
        found = self._catalogue[position]
        if isinstance(found, Product):
            return index_text(found)
        return [index_text(product) for product in found]
