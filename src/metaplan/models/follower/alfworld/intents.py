"""What a plan's steps ask for, read literally from their words."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

from metaplan.core import MetaPlan

__all__ = ["Intent", "Verb", "read_plan"]

Verb = Literal[
    "visit", "search", "take", "put", "clean", "heat", "cool", "use", "open", "close", "other"
]


@dataclass(frozen=True, slots=True)
class Intent:
    """One thing to do.

    Attributes:
        verb: ``visit`` a place, ``search`` for an object, … ``other`` is anything else.
        object: Kind of thing, e.g. ``mug``; empty where the step does not say or says "it".
        place: Kind of receptacle, or one receptacle with its number; empty where not said.
        text: The words themselves.
    """

    verb: Verb
    object: str = ""
    place: str = ""
    text: str = ""


_GO = r"(?:go|navigate|walk|head|return|travel|proceed|move|come|get)(?: back)? (?:over )?to"
_IN = r"(?:in/on|into|onto|inside|in|on|to|at|under|with|using|from|off)"
_TAKE = r"(?:take|pick up|pick|grab|collect|get|retrieve|fetch|remove)"
_PUT = r"(?:put|place|move|set|drop|deposit|insert|store|leave)"
_TREATMENTS: dict[str, Verb] = {
    "clean": "clean", "wash": "clean", "rinse": "clean",
    "heat": "heat", "warm": "heat", "microwave": "heat", "cook": "heat",
    "cool": "cool", "chill": "cool", "refrigerate": "cool",
}  # fmt: skip
_TREAT = "|".join(_TREATMENTS)
_SWITCH = r"(?:use|toggle|turn on|switch on|activate|light)"
_PATTERNS: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (name, re.compile(pattern))
    for name, pattern in (
        ("search", rf"{_GO} where (?:you (?:can|may|might) find )?(?P<object>.+)"),
        (
            "search",
            rf"{_GO} .*\b(?:location|place|spot|recep|receptacle)s? (?:of|for|where|with) "
            rf"(?P<object>.+)",
        ),
        ("search", r"(?:find|locate|search for|look for|identify) (?P<object>.+)"),
        ("visit", rf"{_GO} (?P<place>.+)"),
        ("visit", r"(?:visit|approach|check|search|inspect|look in|look on) (?P<place>.+)"),
        ("treat", rf"use (?P<place>.+?) to (?P<treat>{_TREAT}) (?P<object>.+)"),
        ("treat", rf"(?P<treat>{_TREAT}) (?P<object>.+?) {_IN} (?P<place>.+)"),
        ("treat", rf"(?P<treat>{_TREAT}) (?P<object>.+)"),
        ("use", rf"{_SWITCH} (?P<object>.+)"),
        ("use", r"(?:look at|examine) .+? (?:under|with|using|by) (?P<object>.+)"),
        ("take", rf"{_TAKE} (?P<object>.+?) {_IN} (?P<place>.+)"),
        ("take", rf"{_TAKE} (?P<object>.+)"),
        ("put", rf"{_PUT} (?P<object>.+?) {_IN} (?P<place>.+)"),
        ("put", rf"{_PUT} (?P<object>.+)"),
        ("open", r"open (?P<place>.+)"),
        ("close", r"close (?P<place>.+)"),
    )
)
_VERB = rf"(?:{_GO}|{_TAKE}|{_PUT}|{_TREAT}|{_SWITCH}|open|close|find|locate|look) "
_CLAUSES = re.compile(rf"(?:[,;.]| and| then)(?: and| then)* (?={_VERB})")
_LEAD = re.compile(r"^(?:(?:first|then|next|now|finally|lastly|carefully|again),? )+")
_NOUN_LEAD = re.compile(
    r"^(?:(?:the|an?|some|your|that|this|each|all|any|first|second|other|another|same|nearest|one|"
    r"two|of|clean|cleaned|hot|heated|warm|cool|cooled|cold|possible|likely) )+"
)
# Where a noun phrase ends: "the mug may be located", "the desk that …", "the lamp to look at …".
_NOUN_END = re.compile(
    r" (?:where|that|which|you|may|might|can|could|is|are|was|were|will|should|to|in|on|at|in/on|"
    r"from|with|under|and|or|again|by|if|near|using|until|for|one by one|located|placed|back)\b.*$"
    r"|[,;:.(].*$"
)
_CONDITION = re.compile(r"(?:if|once|when|after|while|until|before) ")
_PLURALS = {"shelves": "shelf", "knives": "knife", "tomatoes": "tomato", "potatoes": "potato"}
_PRONOUNS = {"it", "them", "there", "where", "object", "item"}


@lru_cache(maxsize=4096)
def read_plan(plan: MetaPlan) -> tuple[Intent, ...]:
    """What the plan asks for, in its order.

    A step of several clauses gives several intents; a condition ("if the fridge is closed,") none.
    """
    return tuple(
        _read_clause(clause)
        for step in plan.steps
        for clause in _CLAUSES.split(step.lower().strip(" ."))
        if not _CONDITION.match(clause)
    )


def _read_clause(clause: str) -> Intent:
    text = _LEAD.sub("", clause.strip(" ."))
    for name, pattern in _PATTERNS:
        if found := pattern.match(text):
            groups = found.groupdict()
            verb = _TREATMENTS[groups["treat"]] if name == "treat" else name
            said = Intent(verb, text=text)  # type: ignore[arg-type]
            return replace(
                said, object=_noun(groups.get("object")), place=_noun(groups.get("place"))
            )
    return Intent("other", text=text)


def _noun(phrase: str | None) -> str:
    """The kind that a noun phrase names, written as ALFWorld writes it: ``coffeemachine``."""
    words = _NOUN_END.sub("", " " + _NOUN_LEAD.sub("", phrase or "")).split()
    number = words.pop() if len(words) > 1 and words[-1].isdigit() else ""
    noun = "".join(words)
    noun = _PLURALS.get(noun, noun.removesuffix("s"))
    return "" if noun in _PRONOUNS else f"{noun} {number}".strip()
