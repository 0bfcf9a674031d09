"""Words of a text as Lucene's English analysis has them: split, stripped, stopped, stemmed.

The same as Lucene 8.11's ``StandardTokenizer``, ``EnglishPossessiveFilter``, ``LowerCaseFilter``,
``StopFilter`` and ``PorterStemFilter`` one after the other, which is what the official WebShop's
search engine (Anserini 0.14.3 by way of Pyserini 0.17) does with products and queries.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from functools import cache
from itertools import chain

from metaplan.environments.texts import packaged_text
from metaplan.environments.webshop.search.porter import stem

__all__ = ["split", "term"]

_STOP_WORDS = frozenset(
    {
        "a", "an", "and", "are", "as", "at", "be", "but", "by", "for", "if", "in", "into", "is",
        "it", "no", "not", "of", "on", "or", "such", "that", "the", "their", "then", "there",
        "these", "they", "this", "to", "was", "will", "with",
    }
)  # fmt: skip
_LONGEST = 255  # characters; what is longer becomes several words
_APOSTROPHES = "'\N{RIGHT SINGLE QUOTATION MARK}\N{FULLWIDTH APOSTROPHE}"

# Unicode's text segmentation (UAX 29), over one letter for every character: its class. Marks (x)
# and the joiner (z) belong to what they follow.
_MARKS = "[xz]*"
_RUN = (
    f"(?:(?:[ah]{_MARKS})+(?:[mbq]{_MARKS}(?=[ah]))?|(?:n{_MARKS})+(?:[dbq]{_MARKS}(?=n))?)+"
    f"|(?:k{_MARKS})+"
)
_JOINED = f"(?:_{_MARKS})"
_EMOJI = f"e{_MARKS}(?:(?<=z)e{_MARKS})*"
_WORD = re.compile(
    f"{_JOINED}*(?:{_RUN})(?:{_JOINED}+(?:{_RUN}))*{_JOINED}*"
    f"|(?:s{_MARKS})+|i{_MARKS}|f{_MARKS}f{_MARKS}|{_EMOJI}"
)
_NO_CLASS = "."


class _Classes(dict[int, str]):
    """Classes of code points, found when they are first asked for."""

    def __missing__(self, code: int) -> str:
        starts, ends, classes = _ranges()
        at = bisect_right(starts, code) - 1
        self[code] = classes[at] if at >= 0 and code <= ends[at] else _NO_CLASS
        return self[code]


_CLASSES = _Classes()


def split(text: str) -> list[str]:
    """The words of a text, as they are written."""
    spans = (found.span() for found in _WORD.finditer(text.translate(_CLASSES)))
    return list(chain.from_iterable(_pieces(text[start:end]) for start, end in spans))


def term(word: str) -> str | None:
    """What a word is indexed as: lower case, without ``'s``, stemmed; None for a stop word."""
    if word[-1] in "sS" and word[-2:-1] and word[-2] in _APOSTROPHES:
        word = word[:-2]
    lower = word.lower() if word.isascii() else "".join(letter.lower()[0] for letter in word)
    return None if lower in _STOP_WORDS else stem(lower)


def _pieces(word: str) -> Iterator[str]:
    return (word[at : at + _LONGEST] for at in range(0, len(word), _LONGEST))


@cache
def _ranges() -> tuple[list[int], list[int], list[str]]:
    """First and last code points of the ranges that have a class, and that class, in order."""
    ranges = []
    for line in packaged_text(__package__, ".", "word_breaks").splitlines():
        kind, *spans = line.split()
        for span in spans:
            first, _, last = span.partition("-")
            ranges.append((int(first, 16), int(last or first, 16), kind))
    starts, ends, classes = zip(*sorted(ranges), strict=True)
    return list(starts), list(ends), list(classes)
