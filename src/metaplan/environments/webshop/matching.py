"""When two attributes, or two option values, count as the same (WebShop's reward, PR 8 there).

The official implementation compares with ``token_set_ratio`` of thefuzz 0.19 over difflib; this is
the same number, without the package.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import SequenceMatcher
from functools import cache, lru_cache

from metaplan.environments.texts import packaged_text

__all__ = ["alike", "colour_of", "token_set_ratio"]

_ALIKE_ABOVE = 85
_NOT_A_WORD = re.compile(r"\W")
_LATIN_1 = dict.fromkeys(range(128, 256))
_PACKAGE = __name__.rpartition(".")[0]


def alike(one: str, other: str) -> bool:
    """Whether two texts count as the same."""
    return token_set_ratio(one, other) > _ALIKE_ABOVE


@lru_cache(maxsize=1 << 16)
def token_set_ratio(one: str, other: str) -> int:
    """How similar two texts are as sets of words, in 0..100.

    Upper case and punctuation don't count, and characters 128 to 255 are dropped, as thefuzz does.
    100 where all words of one are in the other; 0 where one has no words.
    """
    mine, others = _words(one), _words(other)
    if not mine or not others:
        return 0
    shared = _joined(mine & others)
    with_mine = f"{shared} {_joined(mine - others)}".strip()
    with_others = f"{shared} {_joined(others - mine)}".strip()
    pairs = ((shared, with_mine), (shared, with_others), (with_mine, with_others))
    return max(_ratio(*pair) for pair in pairs)


def _words(text: str) -> frozenset[str]:
    return frozenset(_NOT_A_WORD.sub(" ", text.translate(_LATIN_1)).lower().split())


def _joined(words: Iterable[str]) -> str:
    return " ".join(sorted(words))


def _ratio(one: str, other: str) -> int:
    if one == other:
        return 100
    if not one or not other:
        return 0
    return round(100 * SequenceMatcher(None, one, other).ratio())


def colour_of(value: str) -> str:
    """The first colour of WebShop's list, in alphabetical order, that is in an option's value.

    Returns:
        The value itself where there is none. "dark blue" is "blue", and "tangerine" is "tan".
    """
    return next((colour for colour in _colours() if colour in value), value)


@cache
def _colours() -> tuple[str, ...]:
    return tuple(packaged_text(_PACKAGE, "words", "colours").split())
