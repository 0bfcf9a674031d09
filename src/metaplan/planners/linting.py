"""Finds what is wrong with a meta plan before it is learned or used (paper, Appendix C).

The appendix names three problems of GPT-4o's plans: too detailed, manipulations that the
environment lacks, wrong format. Section 3.1 adds plans that are overly complex.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

from metaplan.core import MetaPlan, PlanParseError, Record

__all__ = ["PlanProblem", "lint_plan"]


class PlanProblem(Record):
    """One thing wrong with a plan.

    Attributes:
        kind: ``too_specific`` and ``unknown_action``: summarise again; ``format``: extract again;
            ``too_complex``: a person decides.
        step: Number of the step, from 1; None for the plan as a whole.
        message: What is wrong, for a person.
    """

    kind: Literal["too_specific", "unknown_action", "format", "too_complex"]
    step: int | None
    message: str


_MOST_STEPS = 14
_MOST_WORDS = 30
_MOST_DEEDS = 2


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Ways to say the same manipulation; a plan may use any of a group of which the environment has one.
_SYNONYMS = tuple(
    map(
        _words,
        (
            "take pick grab collect gather get retrieve fetch remove",
            "put place move transfer set drop deposit insert store leave",
            "clean wash rinse",
            "heat warm microwave cook",
            "cool chill refrigerate",
            "use toggle turn switch activate deactivate",
            "open",
            "close shut",
            "connect disconnect",
            "pour empty",
            "mix stir combine",
            "click select choose press buy purchase",
        ),
    )
)
_DEEDS = frozenset().union(*_SYNONYMS)
# What only moves, looks or thinks is possible anywhere.
_HARMLESS = _words(
    "go navigate walk head return travel proceed come visit approach enter teleport "
    "find locate search look check inspect examine identify explore observe verify confirm ensure "
    "make see review compare consider note remember determine decide continue repeat keep "
    "measure monitor record carry hold bring wait start begin stop finish complete"
)
_CONDITIONS = _words("if once when after while until before")
# What a clause may begin with before it comes to its verb.
_NOT_VERBS = _words(
    "otherwise else the a an your each every with from in on at to for and or then next first "
    "second third finally lastly now again carefully there it you this that as by not do"
)
# Devices that language models like to invent and no benchmark here has.
_INVENTED = re.compile(r"\b(?:dishwasher|washing machine|tumble dryer|blender)\b")

_WORD = re.compile(r"[a-z]+")
_CLAUSE = re.compile(r"[,;.]\s+|\s+(?:and|then)\s+")
_INSTANCE = re.compile(r"\b([a-z]+) \(?(\d+)\b(?! (?:dollars|degrees|steps|times))")
# What a number may follow without naming an instance: "more than 2", "for 10 steps".
_COUNTS = _words("step steps than to for about at of under over below above least most exactly")
_BRANCH = re.compile(r"\b(?:otherwise|else|repeat|unless|if not)\b")
_TAG = re.compile(r"</?\w+>")
_ENDINGS = (("ing", ""), ("ing", "e"), ("es", ""), ("s", ""), ("ed", ""), ("d", ""))


def lint_plan(plan: MetaPlan | str, action_templates: Sequence[str]) -> tuple[PlanProblem, ...]:
    """Checks a plan, or a completion that should hold one.

    Args:
        plan: A plan; or raw text, which is parsed first.
        action_templates: What the environment can do (`Benchmark.action_templates`), each
            beginning with its verb: ``take {object} from {receptacle}``, ``search[{keywords}]``.

    Returns:
        The problems, in the order of the steps; empty for a good plan.
    """
    if isinstance(plan, str):
        try:
            plan = MetaPlan.parse(plan)
        except PlanParseError as error:
            return (PlanProblem(kind="format", step=None, message=str(error)),)
    allowed = _allowed_verbs(action_templates)
    return (*_check_whole(plan), *_check_steps(plan, allowed))


def _check_whole(plan: MetaPlan) -> Iterator[PlanProblem]:
    count = len(plan.steps)
    if count > _MOST_STEPS:
        message = f"{count} steps are too detailed; at most {_MOST_STEPS}"
        yield PlanProblem(kind="too_specific", step=None, message=message)


def _check_steps(plan: MetaPlan, allowed: frozenset[str]) -> Iterator[PlanProblem]:
    for number, step in enumerate(plan.steps, 1):
        text = step.lower()
        checks = (
            ("format", _format_problem(text)),
            ("too_specific", _detail_problem(text)),
            ("unknown_action", _action_problem(text, allowed)),
            ("too_complex", _complexity_problem(text)),
        )
        for kind, message in checks:
            if message:
                yield PlanProblem(kind=kind, step=number, message=message)


def _format_problem(text: str) -> str:
    if not _WORD.search(text):
        return "the step says nothing"
    if found := _TAG.search(text):
        return f"a stray tag, {found[0]!r}"
    if "action:" in text or "observation:" in text:
        return "an action log, not a step of a plan"
    return ""


def _detail_problem(text: str) -> str:
    for word, number in _INSTANCE.findall(text):
        if word not in _COUNTS:
            return f"names one instance, {word} {number}; say the kind"
    words = len(text.split())
    return f"{words} words are too detailed; at most {_MOST_WORDS}" if words > _MOST_WORDS else ""


def _action_problem(text: str, allowed: frozenset[str]) -> str:
    if found := _INVENTED.search(text):
        return f"the environment has no {found[0]}"
    for position, verb in enumerate(_leading_words(text)):
        if verb not in allowed and (position == 0 or verb in _DEEDS):
            return f"the environment has no action {verb!r}"
    return ""


def _complexity_problem(text: str) -> str:
    if found := _BRANCH.search(text):
        return f"branches or loops ({found[0]!r})"
    deeds = sum(verb in _DEEDS for verb in _leading_words(text))
    return f"{deeds} manipulations in one step" if deeds > _MOST_DEEDS else ""


def _leading_words(text: str) -> list[str]:
    """The first word of each clause that can be a verb, in its plain form."""
    leads = []
    for clause in _CLAUSE.split(text):
        words = _WORD.findall(clause)
        if words and words[0] in _CONDITIONS:
            continue
        verbs = [word for word in words if word not in _NOT_VERBS]
        leads += [_plain(verb) for verb in verbs[:1]]
    return leads


def _plain(word: str) -> str:
    """``taking``, ``takes``, ``took`` … to the plain form, as far as it is known."""
    for ending, instead in _ENDINGS:
        if not word.endswith(ending):
            continue
        stem = word.removesuffix(ending)
        for plain in (stem + instead, stem[:-1]):  # the latter for "putting"
            if plain in _DEEDS | _HARMLESS:
                return plain
    return word


def _allowed_verbs(action_templates: Iterable[str]) -> frozenset[str]:
    verbs = {found[0] for template in action_templates if (found := _WORD.search(template.lower()))}
    synonyms = (group for group in _SYNONYMS if group & verbs)
    return _HARMLESS.union(verbs, *synonyms)
