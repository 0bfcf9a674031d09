"""From one shopper's trajectory to a seed meta plan, by rule (paper, section 3.1).

The paper lets GPT-4o write the summary (Figure 9); this is the deterministic stand-in for it. It
tells what *this* shopper did for *this* goal, without the words of the goal: how much was searched
for, whether pages were turned and features looked up, which options were chosen.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from metaplan.core import DataError, ExpertTrajectory, MetaPlan
from metaplan.environments.webshop.session import read_action

__all__ = ["summarise"]

_SEPARATOR = " [SEP] "
_INSTRUCTION = re.compile(r"^WebShop \[SEP\] Instruction: \[SEP\] | \[SEP\] Search$")
_WORD = re.compile(r"[a-z0-9]+")
_PRICE = re.compile(r",? and price lower than .*$")
_EVERYTHING = 0.5
"""Share of the instruction's words from which on a search has "everything" in it."""
_KIND_WORDS = 3
# The names that options have in WebShop, some of them followed by "name".
_OPTION_NAME = re.compile(
    r"(?:.* )?(?:capacity|color|configuration|design|edition|fit|flavor|item|length|material|number"
    r"|pattern|quantity|scale|scent|shape|size|style|team|wattage)(?: name)?"
)
_ASIN = re.compile(r"[a-z0-9]{10}")
_BUTTONS = {
    "next >": "Go to the next page of results when nothing fits.",
    "description": "Check the description for what the title does not say.",
    "features": "Check the features for what the title does not say.",
    "reviews": "Check the reviews of the product.",
    "buy now": "Click Buy Now.",
}


def summarise(trajectory: ExpertTrajectory) -> MetaPlan:
    """Tells a shopper's trajectory as a meta plan.

    Args:
        trajectory: Its observations are texts with ``[SEP]``.

    Returns:
        The plan; equal trajectories give equal plans.

    Raises:
        DataError: Nothing is bought in the trajectory.
    """
    steps = list(dict.fromkeys(_told(trajectory)))
    if _BUTTONS["buy now"] not in steps:
        raise DataError(
            f"{trajectory.task.key}: the trajectory buys nothing; expected WebShop actions that "
            "end with 'click[Buy Now]'"
        )
    return MetaPlan(steps=tuple(steps))


def _told(trajectory: ExpertTrajectory) -> Iterator[str]:
    """The steps, in order; what was chosen together is told together, before the purchase."""
    names: list[str] = []
    page = trajectory.task.instruction
    searches = 0
    for step in trajectory.steps:
        match read_action(step.action):
            case ("search", query):
                searches += 1
                yield _search(query, trajectory.task.instruction, again=searches > 1)
            case ("click", value) if value in _BUTTONS:
                if value == "buy now" and names:
                    yield f"Choose the {_listing(names)} that the instruction asks for."
                yield _BUTTONS[value]
            case ("click", value) if _ASIN.fullmatch(value) and value.upper() in page:
                names.clear()
                yield "Select the product whose title and price fit the instruction."
            case ("click", value) if name := _option_name(page, value):
                names += [name] * (name not in names)
        page = step.observation


def _search(query: str, instruction: str, *, again: bool) -> str:
    if again:
        return "Search again with other words when the product is not found."
    told = _PRICE.sub("", _INSTRUCTION.sub("", instruction))
    asked = set(_WORD.findall(told.lower()))
    words = _WORD.findall(query)
    if len(asked & set(words)) >= _EVERYTHING * len(asked):
        return "Search for everything that the instruction asks for."
    if len([word for word in words if len(word) > 1]) > _KIND_WORDS:
        return "Search for the kind of product with its features."
    return "Search for the kind of product."


def _option_name(page: str, value: str) -> str:
    """The name of the option that a value belongs to; empty where it is no option's."""
    name = ""
    for part in page.split(_SEPARATOR):
        if _OPTION_NAME.fullmatch(part):
            name = part
        if part == value:
            return name
    return ""


def _listing(names: Sequence[str]) -> str:
    return " and the ".join(names)
