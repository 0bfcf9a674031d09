"""Meta plans: numbered natural-language steps, in one canonical rendering.

The canonical text is what the agent reads, what the trainer learns, and what the key hashes.
`MetaPlan.parse` reads the format of the paper (Figures 7-9), that of the authors' checkpoints
("workflow" for "meta plan"), and the ways in which models break either.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import StrEnum
from functools import cached_property
from itertools import chain, groupby, takewhile
from typing import Self

from pydantic import field_validator

from metaplan.core.errors import PlanParseError
from metaplan.core.keys import digest
from metaplan.core.record import Record

__all__ = ["END_MARKS", "Dialect", "MetaPlan", "ends_that_repeat"]

END_MARKS = " .,;"
"""What may follow a step's last word."""


class Dialect(StrEnum):
    """What a plan is called in prompts and tags: the paper's word or that of the authors' code."""

    META_PLAN = "meta_plan"
    WORKFLOW = "workflow"

    @property
    def words(self) -> str:
        """The name as prompts write it: "meta plan" or "workflow"."""
        return self.value.replace("_", " ")


# Every repetition is bounded and blanks are tidied first: no text makes these expressions slow.
_TAG_NAME = r"(?:meta[\s_-]?plan|work[\s_-]?flow|plan|think)"
_TAG = re.compile(
    rf"[<\[][ `]?(?P<close>[/\\]?) ?{_TAG_NAME}(?:[ =][^<>\n]{{0,80}})?/?[>\]]", re.IGNORECASE
)
_NAME_IN_BRACKETS = re.compile(
    rf"[<\[][<\[/\\` ]{{0,8}}({_TAG_NAME})[^<>\[\]\n]{{0,80}}[>\]][>\] ]*", re.IGNORECASE
)
# "Step 1:", "**Step 1.**", "### Step 1", "1. Step 1 -"; within a line too: models often write all
# steps on one (Figure 14 does).
_STEP = re.compile(
    r"(?P<start>^[ >*#_`•-]{0,8}(?:\(?\d{1,3}[.)] ?)?[*_`]{0,3})?"
    r"(?P<name>(?<![^\W_])step[ _-]?#?(?P<number>\d{1,3})(?:\.\d{1,2}){0,3}(?!\d))"
    r"[*_` ]{0,4}(?P<mark>[:.)–—：-]{1,3})?[ *_`#•]{0,8}",
    re.IGNORECASE | re.MULTILINE,
)
_LISTED = re.compile(r"^(?P<indent> ?)[*_`-]{0,3} ?\(?\d{1,3}[.):]{1,2}[*_`]{0,3} ", re.MULTILINE)
_STEP_NUMBER = re.compile(r"^Step \d+: ")
_BLANKS = re.compile(r"[^\S\n]+")
_BOLD = re.compile(r"\*{2,}")
_PARAGRAPH_END = re.compile(r"\n ?\n")


def _marks_a_step(match: re.Match[str]) -> bool:
    """Whether "step 3" begins a step: "… Step 3: take" does, "… go back to step 3." does not."""
    if not match["mark"] or match["start"] is not None:
        return match["start"] is not None
    before = match.string[max(match.start() - 2, 0) : match.start()].rstrip()[-1:]
    return match["mark"][0] in ":：" or before in ".:;!?)"


def _step_markers(text: str) -> list[re.Match[str]]:
    """Markers at the beginning of a line, and those within lines that go on counting.

    A number that begins a line is a mention elsewhere: "If it is closed, see Step 3: open it".
    Without punctuation, as in the heading "## Step 2", the number has to be higher than the last.
    """
    found = [match for match in _STEP.finditer(text) if _marks_a_step(match)]
    at_line = {int(match["number"]) for match in found if match["start"] is not None}
    markers: list[re.Match[str]] = []
    for match in found:
        number = int(match["number"])
        rises = not markers or number > int(markers[-1]["number"])
        if match["start"] is not None:
            counts = bool(match["mark"]) or rises
        else:
            counts = rises and number not in at_line
        if counts:
            markers.append(match)
    return markers


def _list_markers(text: str) -> list[re.Match[str]]:
    """The numbers of a plain list; what is indented deeper than the first belongs to its step."""
    found = list(_LISTED.finditer(text))
    return [match for match in found if len(match["indent"]) <= len(found[0]["indent"])]


def _first_word(step: str) -> str:
    return step.split(" ", maxsplit=1)[0].lower()


def _clean_step(text: str) -> str:
    """One line in which nothing can be read as a tag or as the beginning of another step."""
    line = " ".join(text.split())
    while (cleaner := _clean_line(line)) != line:  # removing a tag can make one of what is around
        line = cleaner
    return line


def _clean_line(line: str) -> str:
    line = _NAME_IN_BRACKETS.sub(r"\1 ", _BOLD.sub("", line))
    line = line.lstrip(" *_`#•")
    start = 0
    while (own := _STEP.match(line, start)) and own["mark"]:
        start = own.end()
    line = _STEP.sub(_as_mention, line[start:])
    return " ".join(line.lstrip(" *_`#•").rstrip(" *_`#").split())


def _as_mention(match: re.Match[str]) -> str:
    return f"{match['name']}, " if _marks_a_step(match) and match["mark"] else match[0]


def _read_steps(text: str) -> tuple[str, ...]:
    """The steps in a text; the last ends with its paragraph: what follows is an afterword."""
    for markers in (_step_markers(text), _list_markers(text)):
        if not markers:
            continue
        ends = [match.start() for match in markers[1:]] + [len(text)]
        said = [text[match.end() : end] for match, end in zip(markers, ends, strict=True)]
        said[-1] = _PARAGRAPH_END.split(said[-1].strip(), maxsplit=1)[0]
        if steps := tuple(filter(None, map(_clean_step, said))):
            return steps
    return ()


def _bodies(text: str) -> Iterator[str]:
    """What stands between tags, then the whole text; a tag that has no partner is forgiven."""
    tags = list(_TAG.finditer(text))
    start = 0 if tags and tags[0]["close"] else None
    for tag in tags:
        if start is None and not tag["close"]:
            start = tag.end()
        elif start is not None and tag["close"]:
            yield text[start : tag.start()]
            start = None
    if start is not None:
        yield text[start:]
    yield text


class MetaPlan(Record):
    """An abstract step-by-step plan for a task (`p` in the paper, section 2).

    Attributes:
        steps: At least one step; each is one line of text without its number.
    """

    steps: tuple[str, ...]

    @field_validator("steps")
    @classmethod
    def _canonical(cls, steps: tuple[str, ...]) -> tuple[str, ...]:
        clean = tuple(filter(None, map(_clean_step, steps)))
        if not clean:
            raise ValueError("a meta plan needs at least one step")
        return clean

    @cached_property
    def text(self) -> str:
        """The canonical rendering: ``Step 1: …`` lines, joined by newlines."""
        return "\n".join(f"Step {number}: {step}" for number, step in enumerate(self.steps, 1))

    @cached_property
    def key(self) -> str:
        """The hash of `text`: 16 hexadecimal digits."""
        return digest(self.text)

    def tagged(self, dialect: Dialect = Dialect.META_PLAN) -> str:
        """The plan as a planner writes it, between the dialect's tags."""
        return f"<{dialect.value}>\n{self.text}\n</{dialect.value}>"

    def without_repeats(self) -> Self:
        """The plan with no step said twice in a row of steps that begin with the same word.

        Small planners go on in circles where a search is long: "Go to the desk. Go to the shelf. Go
        to the desk."
        """
        rows = (dict.fromkeys(row) for _, row in groupby(self.steps, key=_first_word))
        return type(self)(steps=tuple(chain.from_iterable(rows)))

    @classmethod
    def parse(cls, completion: str) -> Self:
        """Reads the plan in a model's completion.

        Looks between ``<meta_plan>`` or ``<workflow>`` tags (a missing, repeated or misspelt tag is
        forgiven), then for ``Step 1:`` markers (also all on one line, in bold or as headings), then
        for a plain numbered list. Gaps and restarts in the numbers are forgiven: steps are counted
        anew from 1. What a reasoning model thinks before ``</think>`` is not read.

        Args:
            completion: The raw text.

        Returns:
            The plan in canonical form.

        Raises:
            PlanParseError: There is no step to be found.
        """
        text = _BLANKS.sub(" ", completion).rpartition("</think>")[2]
        for body in _bodies(text):
            if steps := _read_steps(_TAG.sub("\n\n", body)):
                return cls(steps=steps)
        shown = " ".join(text[:200].split())[:80]
        raise PlanParseError(f"no numbered steps in the planner's completion: {shown!r}")


def ends_that_repeat(beginning: str) -> set[str]:
    r"""What would complete, in a plan that is being written, a step that its row has already.

    Rows are those of `MetaPlan.without_repeats`: steps one after another that begin with the same
    word, one a line, as `MetaPlan.text` has them.

    Args:
        beginning: A plan as far as it is written: "Step 1: Go to the desk.\nStep 2: Go to the".

    Returns:
        The missing ends, without the `END_MARKS` that follow, where they begin with a new word:
        " desk". Of a word that is begun already the rest is not among them: "Go to the de" has to
        be ended somehow.
    """
    *lines, last = [_STEP_NUMBER.sub("", line) for line in beginning.split("\n")]
    if not last.strip():
        return set()
    row = takewhile(lambda step: _first_word(step) == _first_word(last), reversed(lines))
    rests = (step[len(last) :].rstrip(END_MARKS) for step in row if step.startswith(last))
    return {rest for rest in rests if rest.startswith(" ")}
