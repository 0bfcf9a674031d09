"""Porter's stemmer, as Lucene's ``PorterStemFilter`` has it.

M. F. Porter, "An algorithm for suffix stripping", Program 14(3), 1980, with the departures of its
author's own code: words of one or two letters stay, ``bli`` becomes ``ble``, ``logi`` becomes
``log``. Snowball's ``porter`` lacks them ("us", "technology") and leaves some doubled consonants
("trekking"), so it does not give Lucene's order.
"""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["stem"]

_SECOND = {
    "ational": "ate", "tional": "tion", "enci": "ence", "anci": "ance", "izer": "ize",
    "bli": "ble", "alli": "al", "entli": "ent", "eli": "e", "ousli": "ous", "ization": "ize",
    "ation": "ate", "ator": "ate", "alism": "al", "iveness": "ive", "fulness": "ful",
    "ousness": "ous", "aliti": "al", "iviti": "ive", "biliti": "ble", "logi": "log",
}  # fmt: skip
_THIRD = {
    "icate": "ic", "ative": "", "alize": "al", "iciti": "ic", "ical": "ic", "ful": "", "ness": "",
}  # fmt: skip
_FOURTH = (
    "al", "ance", "ence", "er", "ic", "able", "ible", "ant", "ement", "ment", "ent", "ion", "ou",
    "ism", "ate", "iti", "ous", "ive", "ize",
)  # fmt: skip


def stem(word: str) -> str:
    """The stem of a lower-case word."""
    if len(word) <= 2:
        return word
    word = _end_in_i(_without_past(_without_plural(word)))
    word = _shortened(_shortened(word, _SECOND), _THIRD)
    return _without_e(_without_ending(word))


def _without_plural(word: str) -> str:
    if word.endswith("sses"):
        return word[:-2]
    if word.endswith("ies"):
        return word[:-2]
    return word[:-1] if word.endswith("s") and not word.endswith("ss") else word


def _without_past(word: str) -> str:
    if word.endswith("eed"):
        return word[:-1] if _measure(word[:-3]) > 0 else word
    rest = next((word.removesuffix(end) for end in ("ed", "ing") if word.endswith(end)), None)
    if rest is None or "v" not in _shape(rest):
        return word
    if rest.endswith(("at", "bl", "iz")):
        return rest + "e"
    if _ends_doubled(rest):
        return rest if rest[-1] in "lsz" else rest[:-1]
    return rest + "e" if _measure(rest) == 1 and _ends_in_short_syllable(rest) else rest


def _end_in_i(word: str) -> str:
    return word[:-1] + "i" if word.endswith("y") and "v" in _shape(word[:-1]) else word


def _shortened(word: str, endings: Mapping[str, str]) -> str:
    """The longest ending that fits is replaced, if enough of a word comes before it."""
    ending = _longest(word, endings)
    if ending is None or _measure(rest := word.removesuffix(ending)) == 0:
        return word
    return rest + endings[ending]


def _without_ending(word: str) -> str:
    ending = _longest(word, _FOURTH)
    if ending is None:
        return word
    rest = word.removesuffix(ending)
    if _measure(rest) <= 1 or (ending == "ion" and not rest.endswith(("s", "t"))):
        return word
    return rest


def _without_e(word: str) -> str:
    measure = _measure(word)
    if word.endswith("e") and (
        measure > 1 or (measure == 1 and not _ends_in_short_syllable(word[:-1]))
    ):
        word = word[:-1]
    return word[:-1] if word.endswith("ll") and measure > 1 else word


def _longest(word: str, endings: Mapping[str, str] | tuple[str, ...]) -> str | None:
    return max((end for end in endings if word.endswith(end)), key=len, default=None)


def _shape(word: str) -> str:
    """One ``v`` or ``c`` for every letter; a ``y`` after a consonant is a vowel."""
    shape = ""
    for letter in word:
        vowel = letter in "aeiou" or (letter == "y" and shape.endswith("c"))
        shape += "v" if vowel else "c"
    return shape


def _measure(word: str) -> int:
    """How often a consonant follows a vowel: Porter's m."""
    return _shape(word).count("vc")


def _ends_doubled(word: str) -> bool:
    return len(word) > 1 and word[-1] == word[-2] and _shape(word)[-1] == "c"


def _ends_in_short_syllable(word: str) -> bool:
    """Consonant, vowel, consonant, the last not w, x or y: as in "hop"."""
    return _shape(word).endswith("cvc") and word[-1] not in "wxy"
