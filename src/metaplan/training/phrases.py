"""Stock phrases: what texts say again and again, between the things that they name.

An agent reads and writes the same few sentences about changing things: "You arrive at", "shelf 2",
". On the", "shelf 2", ", you see a", … As single tokens, the phrases between the things halve an
episode, and none of them holds a thing or a number, so that those are the same
tokens in room listing, plan, observation and action and can be copied from one to the other.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby, pairwise

__all__ = ["mine_phrases", "phrase_patterns"]

_MOST_MERGES = 600
_WORD_END = r"(?![\p{L}_#])"
_IN_PHRASES = re.compile(r"\n| ?[^\W\d_]+| ?[^\w\s<>]")

Run = tuple[str, ...]


def mine_phrases(texts: Mapping[Run, int], most: int) -> list[str]:
    """Finds the phrases that shorten the texts most, by byte-pair encoding over words.

    No phrase holds a number, or the name of a thing: a word that a number follows anywhere in the
    texts, or its plural.

    Args:
        texts: Pieces (words, numbers, marks) of each text, and how often it occurs.
        most: Phrases at most.

    Returns:
        Longest first.
    """
    things = _names(texts)
    runs: Counter[Run] = Counter()
    for pieces, times in texts.items():
        for run in _runs(pieces, things):
            runs[run] += times
    words = {piece: 1 for run in runs for piece in run}
    for _ in range(_MOST_MERGES):
        pair = _most_frequent_pair(runs)
        if pair is None:
            break
        words["".join(pair)] = words[pair[0]] + words[pair[1]]
        runs = _merged(runs, pair)
    saved: Counter[str] = Counter()
    for run, times in runs.items():
        for phrase in run:
            saved[phrase] += times * (words[phrase] - 1)
    useful = sorted((phrase for phrase in saved if saved[phrase]), key=lambda p: (-saved[p], p))
    return sorted(useful[:most], key=lambda phrase: (-len(phrase), phrase))


def phrase_patterns(phrases: Iterable[str]) -> list[str]:
    """Regular expressions that find the phrases where a piece begins, whole words of them."""
    return [re.escape(phrase) + (_WORD_END if phrase[-1].isalpha() else "") for phrase in phrases]


def _names(texts: Iterable[Run]) -> set[str]:
    numbered = {
        before.strip()
        for pieces in texts
        for before, after in pairwise(pieces)
        if after.strip().isnumeric()
    }
    return {name + ending for name in numbered for ending in ("", "s", "es")}


def _runs(pieces: Sequence[str], things: set[str]) -> Iterator[Run]:
    """The longest parts of a text that name nothing."""

    def names_nothing(piece: str) -> bool:
        return piece.strip() not in things and _IN_PHRASES.fullmatch(piece) is not None

    return (tuple(run) for nothing, run in groupby(pieces, names_nothing) if nothing)


def _most_frequent_pair(runs: Counter[Run]) -> tuple[str, str] | None:
    """Of neighbours; None where no pair occurs twice."""
    pairs: Counter[tuple[str, str]] = Counter()
    for run, times in runs.items():
        for pair in pairwise(run):
            pairs[pair] += times
    best = max(pairs, key=lambda pair: (pairs[pair], pair), default=None)
    return best if best is not None and pairs[best] > 1 else None


def _merged(runs: Counter[Run], pair: tuple[str, str]) -> Counter[Run]:
    merged: Counter[Run] = Counter()
    for run, times in runs.items():
        merged[_merge(run, pair)] += times
    return merged


def _merge(run: Run, pair: tuple[str, str]) -> Run:
    if pair[0] not in run:
        return run
    merged: list[str] = []
    at = 0
    while at < len(run):
        taken = 2 if run[at : at + 2] == pair else 1
        merged.append("".join(run[at : at + taken]))
        at += taken
    return tuple(merged)
