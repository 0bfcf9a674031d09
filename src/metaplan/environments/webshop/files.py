"""WebShop's official files: where they are, and how they are read.

The whole catalogue is one JSON list of several gigabytes: it is read entry by entry.
"""

from __future__ import annotations

import codecs
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from metaplan.core import DataError
from metaplan.environments.data import DataSource, data_directory, unpacked

__all__ = ["INDICES", "SHOPS", "SOURCES", "Entries", "ShopFiles", "find", "read_json"]

_DRIVE = "https://drive.usercontent.google.com/download?export=download&confirm=t&id="
_ETO = (
    "https://raw.githubusercontent.com/Yifan-Song793/ETO/"
    "a2fc5da38f8d00cfaf3f9b6370d586eebaf72904/eval_agent/data/webshop"
)
_ARCHIVE = DataSource(
    name="webshop/webshop_1000.tar.xz",
    holds="the set of 1,000 products in one archive, with 13 human goals",
)


@dataclass(frozen=True)
class ShopFiles:
    """The two files of a catalogue; the human instructions are the same for all.

    Attributes:
        products: `items_shuffle`.
        attributes: `items_ins_v2`.
    """

    products: DataSource
    attributes: DataSource


# The addresses are those of WebShop's own setup.sh, which gives no checksums.
SHOPS = {
    "1000": ShopFiles(
        DataSource(
            name="webshop/items_shuffle_1000.json",
            holds="1,000 products",
            url=f"{_DRIVE}1EgHdxQ_YxqIQlvvq5iKlCrkEKR6-j0Ib",
        ),
        DataSource(
            name="webshop/items_ins_v2_1000.json",
            holds="their attributes and synthetic instructions",
            url=f"{_DRIVE}1IduG0xl544V_A_jv3tHXC0kyFi7PnyBu",
        ),
    ),
    "full": ShopFiles(
        DataSource(
            name="webshop/items_shuffle.json",
            holds="all 1.18 million products (5 GB)",
            url=f"{_DRIVE}1A2whVgOO0euk5O13n2iYDM0bQRkkRduB",
        ),
        DataSource(
            name="webshop/items_ins_v2.json",
            holds="their attributes and synthetic instructions",
            url=f"{_DRIVE}1s2j6NgHljiZzQNL3veZaAiyW_qDEgBNi",
        ),
    ),
}
HUMAN = DataSource(
    name="webshop/items_human_ins.json",
    holds="what people were told to buy: the goals of the paper",
    url=f"{_DRIVE}14Kb5SPBk_jfdLZ_CDBNitW98QLDlKR5O",
)
# The checksums were taken from a copy of the files at that commit.
INDICES = {
    "train": DataSource(
        name="splits/webshop/train_indices.json",
        holds="the paper's training goals, as places in the official order",
        url=f"{_ETO}/train_indices.json",
        size_bytes=10_796,
        sha256="15f44b4a5ca1e8c2f2a7f2e1849d7ebe1d93e5020426d80408b5f21f0a3a6202",
    ),
    "test": DataSource(
        name="splits/webshop/test_indices.json",
        holds="the paper's test goals",
        url=f"{_ETO}/test_indices.json",
        size_bytes=1_223,
        sha256="0e7fa2b9646a8800761a29fe9bdfff757235bdec7597e3211525230434e2ea66",
    ),
}
SOURCES = (
    *(file for shop in SHOPS.values() for file in (shop.products, shop.attributes)),
    HUMAN,
    _ARCHIVE,
    *INDICES.values(),
)


def find(source: DataSource) -> Path | None:
    """A file in the data directory, or in the archive there; None where it is in neither.

    Raises:
        DataError: The archive is damaged.
    """
    if source.path.exists():
        return source.path
    if _ARCHIVE.path.exists():
        found = unpacked(_ARCHIVE.path) / source.path.name
        return found if found.exists() else None
    return None


def required(source: DataSource) -> Path:
    """A file that has to be there.

    Raises:
        DataError: It is not, and how to get it.
    """
    found = find(source)
    if found is None:
        raise DataError(
            f"{source.path} is missing ({source.holds}): run 'metaplan data fetch {source.name}', "
            f"or put a copy there; the task sets '@builtin' need no data "
            f"(data directory: {data_directory()})"
        )
    return found


def read_json(path: Path) -> Any:
    """The content of a JSON file.

    Raises:
        DataError: It can't be read.
    """
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise DataError(f"{path} can't be read: {error}") from error


class Entries:
    """The entries of a JSON list, one at a time, in little memory.

    Args:
        path: A file with one list of objects.

    Attributes:
        checksum: SHA-256 of what was read so far, of the whole file at the end.
    """

    _CHUNK_BYTES = 1 << 22
    _LONGEST = 1 << 26  # characters in which one entry must end

    def __init__(self, path: Path) -> None:
        self._path = path
        self._hash = hashlib.sha256()

    @property
    def checksum(self) -> str:
        """See the class."""
        return self._hash.hexdigest()

    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        """The entries.

        Raises:
            DataError: The file can't be read, is no such list, or was cut short.
        """
        decoder = json.JSONDecoder()
        held, at = "", 0
        for more in self._chunks():
            held, at = held[at:] + more, 0
            while True:
                start = _skip(held, at)
                try:
                    entry, at = decoder.raw_decode(held, start)
                except ValueError:
                    at = start
                    break
                yield entry
            if len(held) - at > self._LONGEST:
                raise DataError(f"{self._path} is malformed: expected a JSON list of products")
        if held[at:].strip() != "]":
            raise DataError(f"{self._path} is cut short or malformed: it does not end a JSON list")

    def _chunks(self) -> Iterator[str]:
        text = codecs.getincrementaldecoder("utf-8")()
        try:
            with self._path.open("rb") as file:
                while chunk := file.read(self._CHUNK_BYTES):
                    self._hash.update(chunk)
                    yield text.decode(chunk)
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"{self._path} can't be read: {error}") from error


def _skip(held: str, at: int) -> int:
    """Where the next entry begins: after blanks, a comma, and the list's opening bracket."""
    while at < len(held) and held[at] in " \t\r\n,[":
        at += 1
    return at
