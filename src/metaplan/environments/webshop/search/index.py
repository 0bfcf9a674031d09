"""The search index: BM25 with Lucene's arithmetic and order, over arrays mapped from disk."""

from __future__ import annotations

import json
import math
import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from metaplan.core import DataError
from metaplan.environments.data.directories import locked
from metaplan.environments.webshop.search.building import ARRAYS, MANIFEST, VERSION, build
from metaplan.environments.webshop.search.lengths import LENGTHS
from metaplan.environments.webshop.search.words import split, term

__all__ = ["SearchIndex"]

_ONE, _K1, _B = np.float32(1), np.float32(0.9), np.float32(0.4)
_TELLING = 20  # times as many documents as are sought
_EQUAL = 1 - 1e-6  # scores this close may be equal in single precision


class _Term(NamedTuple):
    """A term of a query: its postings, what each kind of them adds, and the most of that."""

    postings: slice
    by_kind: NDArray[np.float32]
    most: float


class SearchIndex:
    """Ranks documents as the official WebShop's search engine does.

    That is Lucene 8.11's BM25 with k1 0.9 and b 0.4, lengths kept in one byte, in single precision.
    What is mapped from disk is shared by all processes of a machine. `open` makes one.

    Args:
        directory: An index that is whole.
    """

    def __init__(self, directory: Path) -> None:
        manifest = _manifest(directory)
        arrays = {name: np.load(directory / f"{name}.npy", mmap_mode="r") for name in ARRAYS}
        self._filled: int = manifest["documents_with_words"]
        self._terms: NDArray[np.uint8] = arrays["terms"]
        self._term_ends: NDArray[np.int64] = arrays["term_ends"]
        self._posting_ends: NDArray[np.int64] = arrays["posting_ends"]
        self._documents: NDArray[np.uint32] = arrays["documents"]
        self._kinds: NDArray[np.unsignedinteger[Any]] = arrays["kinds"]
        self._ranks: NDArray[np.uint32] = arrays["ranks"]
        self._spread = _spread(arrays["pairs"], np.float32(manifest["mean_length"]))

    @classmethod
    def open(
        cls, documents: Sequence[str], directory: Path, *, tie_order: Sequence[int] | None = None
    ) -> SearchIndex:
        """The index of some documents: the one in `directory`, built where it is missing.

        Any number of processes may ask at a time: one builds, the others wait. A directory that a
        killed process left unfinished, or with a file cut short, is built anew.

        Args:
            documents: Only counted where the index is there: the directory must be another one for
                other documents.
            directory: Its parent is made where it is missing.
            tie_order: Positions of the documents in the order that equal scores have, in the
                official WebShop that of their identifiers. Without, the earlier comes first.

        Raises:
            DataError: It can't be written.
        """
        if not _is_whole(directory, len(documents)):
            try:
                _build_once(documents, tie_order, directory)
            except OSError as error:
                raise DataError(
                    f"the search index {directory} can't be built: {error.strerror or error}"
                ) from error
        return cls(directory)

    def search(self, query: str, limit: int = 50) -> list[int]:
        """Positions of the documents that match best, the best first.

        Words that few documents have come first. As soon as the others together can lift no
        further document among the best, only documents that are in sight are looked up in them.

        Args:
            query: Any text; a document matches with one of its words.
            limit: How many at most; at least 1.
        """
        terms = self._analyse(query)
        if not terms:
            return []
        totals = np.zeros(len(self._ranks))
        first = np.zeros(0, np.int64)  # found by rare words: tells what the best have at least
        for done, each in enumerate(terms, 1):
            totals[self._documents[each.postings]] += each.by_kind[self._kinds[each.postings]]
            rest = sum(other.most for other in terms[done:])
            if rest >= sum(other.most for other in terms[:done]):
                continue
            if len(first) < _TELLING * limit:
                first = np.flatnonzero(totals)
            if len(first) >= limit and _least(totals[first], limit) * _EQUAL > rest:
                break
        found = np.flatnonzero(totals).astype(np.uint32)
        scores = totals[found]
        for at in range(done, len(terms)):
            rest = sum(other.most for other in terms[at:])
            found, scores = _in_sight(found, scores, rest, limit)
            scores += self._look_up(terms[at], found)
        return self._ranked(*_in_sight(found, scores, 0, limit))[:limit]

    def _analyse(self, query: str) -> list[_Term]:
        """The terms of a query that documents have, those that can add most first."""
        words = Counter(found for word in split(query) if (found := term(word)) is not None)
        numbers = ((self._number(text), repeats) for text, repeats in words.items())
        terms = [self._weigh(at, repeats) for at, repeats in numbers if at is not None]
        return sorted(terms, key=lambda each: each.most, reverse=True)

    def _number(self, text: str) -> int | None:
        """Where a term comes in byte order; None where no document has it."""
        sought, low, high = text.encode(), 0, len(self._term_ends)
        while low < high:
            middle = (low + high) // 2
            found = self._terms[_slice(self._term_ends, middle)].tobytes()
            if found == sought:
                return middle
            low, high = (middle + 1, high) if found < sought else (low, middle)
        return None

    def _weigh(self, number: int, repeats: int) -> _Term:
        """What a term adds to scores, as Lucene's ``BM25Similarity`` computes it."""
        postings = _slice(self._posting_ends, number)
        having = postings.stop - postings.start
        idf = np.float32(math.log(1 + (self._filled - having + 0.5) / (having + 0.5)))
        weight = np.float32(repeats) * idf
        by_kind: NDArray[np.float32] = weight - weight / self._spread
        return _Term(postings, by_kind, float(by_kind.max()))

    def _look_up(self, each: _Term, found: NDArray[np.uint32]) -> NDArray[np.float32]:
        """What a term adds to the scores of some documents."""
        having = self._documents[each.postings]
        places = np.minimum(np.searchsorted(having, found), len(having) - 1)
        added: NDArray[np.float32] = each.by_kind[self._kinds[each.postings][places]]
        added[having[places] != found] = 0
        return added

    def _ranked(self, found: NDArray[np.uint32], scores: NDArray[np.float64]) -> list[int]:
        order = np.lexsort((self._ranks[found], -scores.astype(np.float32)))
        return [int(position) for position in found[order]]


def _least(scores: NDArray[np.float64], limit: int) -> float:
    """The least of the `limit` best."""
    return float(np.partition(scores, -limit)[-limit])


def _in_sight(
    found: NDArray[np.uint32], scores: NDArray[np.float64], rest: float, limit: int
) -> tuple[NDArray[np.uint32], NDArray[np.float64]]:
    """The documents that may be among the best when each can get so much more."""
    if len(found) <= limit:
        return found, scores
    kept = scores + rest >= _least(scores, limit) * _EQUAL
    return found[kept], scores[kept]


def _slice(ends: NDArray[np.int64], number: int) -> slice:
    return slice(int(ends[number - 1]) if number else 0, int(ends[number]))


def _spread(pairs: NDArray[np.uint32], mean_length: np.float32) -> NDArray[np.float32]:
    """For every kind of posting 1 + frequency / (k1 · (1 - b + b · length / mean))."""
    lengths = LENGTHS[pairs[:, 1]].astype(np.float32)
    norms = _ONE / (_K1 * ((_ONE - _B) + _B * lengths / mean_length))
    spread: NDArray[np.float32] = _ONE + pairs[:, 0].astype(np.float32) * norms
    return spread


def _build_once(documents: Sequence[str], tie_order: Sequence[int] | None, directory: Path) -> None:
    """Builds beside the directory, which gets its name when all is written."""
    partial = directory.with_name(directory.name + ".partial")
    with locked(directory.with_name(directory.name + ".lock")):
        if _is_whole(directory, len(documents)):
            return
        for leftover in (partial, directory):
            shutil.rmtree(leftover, ignore_errors=True)
        partial.mkdir()
        build(documents, tie_order, partial)
        partial.rename(directory)


def _is_whole(directory: Path, documents: int) -> bool:
    """Whether all files are there, at full length, of this version and so many documents."""
    try:
        manifest = _manifest(directory)
        return (manifest["version"], manifest["documents"]) == (VERSION, documents) and all(
            (directory / f"{name}.npy").stat().st_size == manifest["bytes"][name] for name in ARRAYS
        )
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _manifest(directory: Path) -> dict[str, Any]:
    manifest: dict[str, Any] = json.loads((directory / MANIFEST).read_text("utf-8"))
    return manifest
