"""Builds the search index on disk: each term's documents one after the other, ready to be mapped.

Blocks of documents are counted one by one and put aside in files, so that memory stays bounded
however many documents there are; then every posting goes to its place.

The arrays, each a plain NumPy file (T terms, P postings, D documents):

- ``terms``: uint8, the terms in UTF-8, one after the other, in byte order
- ``term_ends``: int64 [T], where each term ends
- ``posting_ends``: int64 [T], where each term's postings end
- ``documents``: uint32 [P], positions of the documents that have the term, ascending
- ``kinds``: unsigned [P], row of ``pairs`` of each posting
- ``pairs``: uint32 [K, 2], how often a document has a term, and its length as one byte
- ``ranks``: uint32 [D], the documents' order where scores are equal
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.lib.format import open_memmap
from numpy.typing import NDArray

from metaplan.environments.webshop.search.lengths import byte_of_length
from metaplan.environments.webshop.search.words import split, term

__all__ = ["ARRAYS", "MANIFEST", "VERSION", "build"]

VERSION = 1
MANIFEST = "index.json"
ARRAYS = ("terms", "term_ends", "posting_ends", "documents", "kinds", "pairs", "ranks")

_BLOCK = 20_000  # documents


class _Vocabulary(dict[str, int]):
    """Numbers of words' terms in the order of their first use; -1 for stop words."""

    def __init__(self) -> None:
        super().__init__()
        self.terms: dict[str, int] = {}

    def __missing__(self, word: str) -> int:
        found = term(word)
        number = -1 if found is None else self.terms.setdefault(found, len(self.terms))
        self[word] = number
        return number


class _Block(NamedTuple):
    """Postings of some documents, by term and then by document."""

    terms: NDArray[np.uint32]
    documents: NDArray[np.uint32]
    frequencies: NDArray[np.uint32]


def build(documents: Sequence[str], tie_order: Sequence[int] | None, directory: Path) -> None:
    """Writes the index of some documents; the manifest comes last.

    Args:
        documents: Read once, from first to last.
        tie_order: Positions of the documents in the order that equal scores have; None keeps
            their own.
        directory: Empty.
    """
    vocabulary = _Vocabulary()
    lengths = array("I")
    blocks = [
        _put_aside(block, directory / f"block-{number}")
        for number, block in enumerate(_blocks(documents, vocabulary, lengths))
    ]
    length_bytes = byte_of_length(np.array(lengths, np.int64))
    order = sorted(vocabulary.terms, key=str.encode)
    rank = np.empty(len(order), np.int64)
    rank[[vocabulary.terms[text] for text in order]] = np.arange(len(order))
    encoded = [text.encode() for text in order]
    np.save(directory / "terms", np.frombuffer(b"".join(encoded), np.uint8))
    np.save(directory / "term_ends", np.cumsum([len(text) for text in encoded], dtype=np.int64))
    np.save(directory / "ranks", _ranks(tie_order, len(documents)))
    _place(blocks, rank, length_bytes, directory)
    for block in blocks:
        for path in _files(block):
            path.unlink()
    _write_manifest(directory, np.array(lengths, np.int64))


def _blocks(
    documents: Sequence[str], vocabulary: _Vocabulary, lengths: array[int]
) -> Iterator[_Block]:
    """Counts terms block by block; appends every document's number of words to `lengths`."""
    for first in range(0, len(documents), _BLOCK):
        numbers = array("I")
        last = min(first + _BLOCK, len(documents))
        for at in range(first, last):
            before = len(numbers)
            numbers.extend(
                number for word in split(documents[at]) if (number := vocabulary[word]) >= 0
            )
            lengths.append(len(numbers) - before)
        owners = np.repeat(np.arange(first, last, dtype=np.uint64), lengths[first:last])
        keys = np.array(numbers, np.uint64) << np.uint64(32) | owners
        unique, counts = np.unique(keys, return_counts=True)
        yield _Block(
            (unique >> np.uint64(32)).astype(np.uint32),
            (unique & np.uint64(0xFFFFFFFF)).astype(np.uint32),
            counts.astype(np.uint32),
        )


def _files(block: Path) -> list[Path]:
    return [block.with_name(f"{block.name}-{part}.npy") for part in _Block._fields]


def _put_aside(block: _Block, path: Path) -> Path:
    for part, file in zip(block, _files(path), strict=True):
        np.save(file, part)
    return path


def _place(
    blocks: Sequence[Path],
    rank: NDArray[np.int64],
    length_bytes: NDArray[np.uint8],
    directory: Path,
) -> None:
    """Writes the postings in the order of terms.

    Args:
        blocks: Of documents in order.
        rank: [T] Where in that order each numbered term comes.
        length_bytes: [D].
        directory: Where to.
    """
    counts = np.zeros(len(rank), np.int64)
    pairs = np.empty(0, np.int64)
    for path in blocks:
        block = _read(path)
        counts += np.bincount(rank[block.terms], minlength=len(rank))
        pairs = np.union1d(pairs, _pairs(block, length_bytes))
    ends = np.cumsum(counts)
    total = int(counts.sum())
    np.save(directory / "posting_ends", ends)
    np.save(directory / "pairs", np.stack([pairs >> 8, pairs & 0xFF], axis=1).astype(np.uint32))
    documents = open_memmap(directory / "documents.npy", "w+", np.uint32, (total,))
    kinds = open_memmap(
        directory / "kinds.npy", "w+", np.min_scalar_type(max(len(pairs) - 1, 0)), (total,)
    )
    free = ends - counts
    for path in blocks:
        block = _read(path)
        starts = np.flatnonzero(np.diff(block.terms, prepend=-1))
        sizes = np.diff(starts, append=len(block.terms))
        within = np.arange(len(block.terms)) - np.repeat(starts, sizes)
        terms = rank[block.terms[starts]]
        places = np.repeat(free[terms], sizes) + within
        documents[places] = block.documents
        kinds[places] = np.searchsorted(pairs, _pairs(block, length_bytes))
        free[terms] += sizes
    documents.flush()
    kinds.flush()


def _read(path: Path) -> _Block:
    return _Block(*(np.load(file) for file in _files(path)))


def _pairs(block: _Block, length_bytes: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Frequency and length of each posting as one number."""
    return block.frequencies.astype(np.int64) << 8 | length_bytes[block.documents]


def _ranks(tie_order: Sequence[int] | None, count: int) -> NDArray[np.uint32]:
    ranks = np.arange(count, dtype=np.uint32)
    if tie_order is not None:
        ranks[np.asarray(tie_order)] = np.arange(count, dtype=np.uint32)
    return ranks


def _write_manifest(directory: Path, lengths: NDArray[np.int64]) -> None:
    filled = int(np.count_nonzero(lengths))
    manifest = {
        "version": VERSION,
        "documents": len(lengths),
        "documents_with_words": filled,
        "mean_length": float(lengths.sum()) / max(filled, 1),
        "bytes": {name: (directory / f"{name}.npy").stat().st_size for name in ARRAYS},
    }
    (directory / MANIFEST).write_text(json.dumps(manifest, indent=1), "utf-8")
