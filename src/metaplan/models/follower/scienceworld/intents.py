"""What a plan's steps, or the sentences of a task, ask for in ScienceWorld; read literally."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from metaplan.core import MetaPlan

__all__ = ["ROOMS", "Intent", "Verb", "read_plan", "read_subject", "read_task"]

Verb = Literal[
    "go", "search", "look", "pick", "focus", "move", "pour", "mix", "activate", "deactivate",
    "connect", "disconnect", "use", "open", "close", "read", "examine", "wait", "other",
]  # fmt: skip

ROOMS = (
    "kitchen", "foundry", "workshop", "bathroom", "outside", "living room", "bedroom",
    "greenhouse", "art studio", "hallway",
)  # fmt: skip
"""Words for rooms: those of the paper's instruction prompt (Figure 10)."""


@dataclass(frozen=True, slots=True)
class Intent:
    """One thing to do.

    Attributes:
        thing: What it is done to, e.g. ``metal pot``; empty where not said.
        place: The other thing that takes part, e.g. ``sink``.
        room: Where it is to be done; empty where not said.
        example: What may stand for the thing: "an animal, such as the dove egg".
        until: What to see before going on.
        each: Whether it is to be done to every such place.
        often: Whether it is to be repeated.
        text: The words themselves.
    """

    verb: Verb
    thing: str = ""
    place: str = ""
    room: str = ""
    example: str = ""
    until: str = ""
    each: bool = False
    often: bool = False
    text: str = ""


_ROOM = rf"(?:the )?'?(?P<room>{'|'.join(ROOMS)})\b"
_GO = r"(?:teleport|go|navigate|walk|head|return|travel|proceed|move|come|get)"
_PICK = r"(?:pick up|take|grab|collect|get|retrieve|fetch)"
_PUT = r"(?:move|put|place|transfer|set|drop|insert|add)"
_ON = r"(?:activate|turn on|switch on)"
_OFF = r"(?:deactivate|turn off|switch off)"
_INTO = r"(?:into|inside|in/on|onto|in|on|to)"
_WATCH = r"(?:watch|observe|monitor)"
_LOOK = r"(?:examine|look at|inspect|check)"
_UNTIL = r"(?: until (?:you see |there is |it (?:becomes|is|turns into) )?(?P<until>.+))?"
_WORDINGS: tuple[tuple[Verb, str], ...] = (
    ("go", rf"{_GO}(?: back)? to {_ROOM}(?! \w)"),
    ("search", rf"{_GO}(?: back)? to where (?:you (?:can|may|might) find )?(?P<thing>.+)"),
    ("search", r"(?:find|locate|search for|look for) (?P<thing>.+)"),
    ("focus", r"focus on (?P<thing>.+)"),
    ("wait", rf"wait{_UNTIL}"),
    (
        "use",
        rf"(?P<often>keep )?us(?:e|ing) (?P<thing>.+?) "
        rf"(?:on|to measure(?: the temperature of)?) (?P<place>.+?){_UNTIL}$",
    ),
    ("examine", rf"(?P<often>keep looking at|{_WATCH}) (?P<thing>.+?){_UNTIL}$"),
    ("examine", rf"{_LOOK} (?P<thing>.+)"),
    ("look", r"(?:look around|explore)"),
    ("pour", rf"(?:pour|empty) (?P<thing>.+?) {_INTO} (?P<place>.+)"),
    ("connect", r"connect (?P<thing>.+?) (?:to|with) (?P<place>.+)"),
    ("move", rf"{_PUT} (?P<thing>.+?) {_INTO} (?P<place>.+)"),
    ("pick", rf"{_PICK} (?!action)(?P<thing>.+)"),
    ("mix", r"(?:mix|stir|combine) (?P<thing>.+)"),
    ("activate", rf"{_ON} (?P<thing>.+)"),
    ("deactivate", rf"{_OFF} (?P<thing>.+)"),
    ("disconnect", r"disconnect (?P<thing>.+)"),
    ("use", r"use (?!chemistry)(?P<thing>.+)"),
    ("open", r"open (?P<thing>.+)"),
    ("close", r"close (?P<thing>.+)"),
    ("read", r"read (?P<thing>.+)"),
)
_PATTERNS = tuple((verb, re.compile(wording)) for verb, wording in _WORDINGS)
_VERB = (
    rf"(?:{_GO} (?:back )?to|{_PICK}|{_PUT}|{_ON}|{_OFF}|{_LOOK}|{_WATCH}|pour|mix|focus on|keep|"
    r"connect|disconnect|use|open|close|read|wait|find|locate|look)"
)
_SENTENCES = re.compile(r"(?<=[.;])\s+")
_CLAUSES = re.compile(rf"(?:[,;.]| and| then)(?: and| then)* (?={_VERB}\b)")
_BARE = re.compile(_VERB)
_LEAD = re.compile(r"^(?:(?:first|then|next|now|finally|lastly|carefully|again),? )+")
_CONDITION = re.compile(r"(?:if|once|when|after|while|until|before) ")
_NOUN_LEAD = re.compile(r"^(?:(?:the|an?|a\(n\)|some|your|that|this|each|every|all|any|one|of) )+")
_NOUN_END = re.compile(
    r" (?:where|that|which|from|you|may|is|are|was|were|until|using|by|for|located|placed|to)\b.*$"
    r"|[,;:(].*$"
)
_EXAMPLE = re.compile(r",? (?:such as|for example|e\.g\.|like) (?P<example>.+)")
_THERE = re.compile(rf",? (?:in|at|near|around) {_ROOM}.*$")
_SUBJECT = re.compile(
    r"\b(?:of(?: matter of)?|find|boil|melt|freeze|grow|create(?: the substance)?|turn on|"
    r"determine if) (?P<thing>.+?)(?:,|\.|$| by | from | is | has | with )"
)
_LOCATED = re.compile(rf"\b(?:located|found|are|is)\b[^.]*?\b{_ROOM}")


@lru_cache(maxsize=4096)
def read_plan(plan: MetaPlan) -> tuple[Intent, ...]:
    """What the plan asks for, in its order; what hangs on an "if" is left out."""
    return tuple(intent for step in plan.steps for intent in _read_sentence(step))


@lru_cache(maxsize=1024)
def read_task(text: str) -> tuple[Intent, ...]:
    """What the sentences of a task ask for: first to go where they say that things are."""
    rooms = [Intent("go", room=found["room"]) for found in _LOCATED.finditer(text.lower())]
    asked = (intent for sentence in _SENTENCES.split(text) for intent in _read_sentence(sentence))
    return (*rooms[:1], *(intent for intent in asked if intent.verb != "other"))


def read_subject(text: str) -> str:
    """What the task is about: "boil water" is about water. Empty where that is not clear."""
    found = _SUBJECT.search(text.lower())
    return _noun(found["thing"]) if found else ""


def _read_sentence(sentence: str) -> Iterator[Intent]:
    clauses = _CLAUSES.split(sentence.lower().strip(" .\n"))
    if clauses[0].startswith("if "):
        return
    for clause in _with_objects(clauses):
        if not _CONDITION.match(clause):
            yield _read_clause(clause)


def _with_objects(clauses: Sequence[str]) -> Iterator[str]:
    """Gives a bare verb the object of the next one: "activate and deactivate the sink"."""
    for clause, after in zip(clauses, (*clauses[1:], ""), strict=True):
        bare, verb = _BARE.fullmatch(clause.strip()), _BARE.match(after)
        yield f"{clause}{after[verb.end() :]}" if bare and verb else clause


def _read_clause(clause: str) -> Intent:
    text = _LEAD.sub("", clause.strip(" ."))
    for verb, pattern in _PATTERNS:
        if found := pattern.match(text):
            return _intent(verb, {key: said or "" for key, said in found.groupdict().items()}, text)
    return Intent("other", text=text)


def _intent(verb: Verb, said: dict[str, str], text: str) -> Intent:
    thing, place = said.get("thing", ""), said.get("place", "")
    there = _THERE.search(place or thing)
    example = _EXAMPLE.search(thing)
    return Intent(
        verb,
        thing=_noun(_EXAMPLE.sub("", thing)),
        place=_noun(place),
        room=said.get("room", "") or (there["room"] if there else ""),
        example=_noun(example["example"]) if example else "",
        until=_NOUN_LEAD.sub("", said.get("until", "")),
        each=place.startswith(("each ", "every ", "all ")),
        often=bool(said.get("often")),
        text=text,
    )


def _noun(phrase: str) -> str:
    """What a noun phrase names, without article, room and relative clauses."""
    bare = _NOUN_LEAD.sub("", phrase.strip())
    return _NOUN_END.sub("", _THERE.sub("", bare)).strip(" .'\"")
