"""Meta plans: numbered natural-language steps, in one canonical rendering.

The canonical text is what the agent reads, what the trainer learns, and what the key hashes.
`MetaPlan.parse` reads the format of the paper (Figures 7-9), that of the authors' checkpoints
("workflow" for "meta plan"), and the ways in which models break either.
"""

from __future__ import annotations

import re
from enum import StrEnum
from functools import cached_property
from typing import Self

from pydantic import field_validator

from metaplan.core.errors import PlanParseError
from metaplan.core.keys import digest
from metaplan.core.record import Record

__all__ = ["Dialect", "MetaPlan"]


class Dialect(StrEnum):
    """What a plan is called in prompts and tags: the paper's word or that of the authors' code."""

    META_PLAN = "meta_plan"
    WORKFLOW = "workflow"

    @property
    def words(self) -> str:
        """The name as prompts write it: "meta plan" or "workflow"."""
        return self.value.replace("_", " ")


_TAG_NAME = r"(?:meta[\s_-]*plan|work[\s_-]*flow|plan)"
_OPEN_TAG = re.compile(rf"<\s*{_TAG_NAME}\s*>", re.IGNORECASE)
_CLOSE_TAG = re.compile(rf"<\s*/\s*{_TAG_NAME}\s*>", re.IGNORECASE)
_ANY_TAG = re.compile(rf"<\s*/?\s*{_TAG_NAME}\s*=?\s*(?:\"\")?\s*/?\s*>", re.IGNORECASE)
# "Step 1:", "**Step 1.**", "### Step 1 -"; also in the middle of a line: models often write all
# steps on one (Figure 14 does).
_STEP = re.compile(
    r"(?:^|(?<=[\s.;>*#]))[*#\s_`-]*\bstep\s*(\d+)\s*[*_`]*\s*[:.)\-–—]+[*_`]*\s*", re.IGNORECASE
)
_NUMBERED = re.compile(r"^[ \t]*[*_`-]*[ \t]*(\d+)\s*[.):][*_`]*\s+", re.MULTILINE)
_SPACE = re.compile(r"\s+")


def _clean_step(text: str) -> str:
    """One line, without tags, Markdown emphasis at the ends, or surrounding space."""
    return _SPACE.sub(" ", _ANY_TAG.sub(" ", text)).strip().strip("*_`#").strip()


def _split(text: str, marker: re.Pattern[str]) -> list[str]:
    """The texts behind markers with rising numbers; any other marker is part of a step."""
    found: list[re.Match[str]] = []
    for match in marker.finditer(text):
        if not found or int(match.group(1)) > int(found[-1].group(1)):
            found.append(match)
    ends = [match.start() for match in found[1:]] + [len(text)]
    steps = [text[match.end() : end] for match, end in zip(found, ends, strict=False)]
    return [step for step in map(_clean_step, steps) if step]


def _inside_tags(text: str) -> str:
    """What stands between the plan's tags; a missing closing tag ends with the text."""
    opening = _OPEN_TAG.search(text)
    if opening is None:
        closing = _CLOSE_TAG.search(text)
        return text[: closing.start()] if closing else text
    closing = _CLOSE_TAG.search(text, opening.end())
    return text[opening.end() : closing.start() if closing else len(text)]


def _drop_afterword(step: str) -> str:
    """The last step ends with its paragraph: what a model adds after a blank line is no step."""
    return re.split(r"\n[ \t]*\n", step.strip(), maxsplit=1)[0]


class MetaPlan(Record):
    """An abstract step-by-step plan for a task (`p` in the paper, section 2).

    Attributes:
        steps: At least one step; each is one line of text without its number.
    """

    steps: tuple[str, ...]

    @field_validator("steps")
    @classmethod
    def _canonical(cls, steps: tuple[str, ...]) -> tuple[str, ...]:
        clean = tuple(step for step in map(_clean_step, steps) if step)
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

    @classmethod
    def parse(cls, completion: str) -> Self:
        """Reads the plan in a model's completion.

        Looks between ``<meta_plan>`` or ``<workflow>`` tags (a missing, repeated or misspelt tag is
        forgiven), then for ``Step 1:`` markers (also all on one line or in bold), then for a plain
        numbered list. Numbers must rise; they are counted anew from 1.

        Args:
            completion: The raw text.

        Returns:
            The plan in canonical form.

        Raises:
            PlanParseError: There is no step to be found.
        """
        body = _inside_tags(completion)
        for marker in (_STEP, _NUMBERED):
            found = list(marker.finditer(body))
            if not found:
                continue
            last = found[-1]
            body_cut = body[: last.end()] + _drop_afterword(body[last.end() :])
            steps = _split(body_cut, marker)
            if steps:
                return cls(steps=tuple(steps))
        shown = _SPACE.sub(" ", completion).strip()[:80]
        raise PlanParseError(f"no numbered steps in the planner's completion: {shown!r}")
