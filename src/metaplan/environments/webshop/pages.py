"""The pages of the shop as data: one model for texts and for HTML.

A page is a row of elements, in the order in which the official templates have them. `text` and
`rich_text` tell a page as the official text environment does in its modes ``text`` and
``text_rich``.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from metaplan.environments.webshop.goals import Goal
from metaplan.environments.webshop.products import Product

__all__ = [
    "BACK_TO_SEARCH",
    "BUY",
    "HITS",
    "NEXT",
    "PER_PAGE",
    "PREVIOUS",
    "SUB_PAGES",
    "Element",
    "Page",
    "PageKind",
    "Role",
    "done_page",
    "item_page",
    "results_page",
    "rich_text",
    "search_page",
    "sub_page",
    "text",
]

HITS = 50
"""Products that a search finds at most."""

PER_PAGE = 10

BACK_TO_SEARCH = "Back to Search"
BUY = "Buy Now"
NEXT = "Next >"
PREVIOUS = "< Prev"
SUB_PAGES = ("Description", "Features", "Reviews")


class PageKind(StrEnum):
    """The kinds of pages, named as in WebShop's addresses and logs."""

    SEARCH = "index"
    RESULTS = "search_results"
    ITEM = "item_page"
    SUB = "item_sub_page"
    DONE = "done"


class Role(StrEnum):
    """What an element is."""

    HEADING = "heading"
    TEXT = "text"
    SEARCH = "search"
    BUTTON = "button"
    LINK = "link"
    OPTION_NAME = "option_name"
    OPTION = "option"
    HIDDEN = "hidden"


@dataclass(frozen=True, slots=True)
class Element:
    """One visible text with what it is.

    Attributes:
        role: ``search`` is the button beside the search field; ``link`` leads to a product;
            ``hidden`` is in the text, but no person sees it on the page.
        text: As it is shown.
        option: Of an option's value, the option's name.
        chosen: The option's value is chosen, or the product was looked at since the last search
            page.
    """

    role: Role
    text: str
    option: str = ""
    chosen: bool = False


@dataclass(frozen=True, slots=True)
class Page:
    """A page of the shop."""

    kind: PageKind
    elements: tuple[Element, ...]

    @property
    def clickable(self) -> dict[str, Element]:
        """What can be clicked, by its text in lower case.

        Of two with one text the later counts, and an option before any button, as officially.
        """
        elements = sorted(
            (element for element in self.elements if element.role in _CLICKABLE),
            key=lambda element: element.role is Role.OPTION,
        )
        return {element.text.lower(): element for element in elements}


_CLICKABLE = frozenset({Role.BUTTON, Role.LINK, Role.OPTION})


def search_page(goal: Goal) -> Page:
    """The page that an episode begins with."""
    elements = (
        Element(Role.HEADING, "WebShop"),
        Element(Role.TEXT, "Instruction: "),
        Element(Role.TEXT, goal.instruction),
        Element(Role.SEARCH, "Search"),
    )
    return Page(PageKind.SEARCH, elements)


def _top(goal: Goal) -> tuple[Element, ...]:
    return (
        Element(Role.TEXT, "Instruction:"),
        Element(Role.TEXT, goal.instruction),
        Element(Role.BUTTON, BACK_TO_SEARCH),
    )


def results_page(
    goal: Goal, products: Sequence[Product], number: int, total: int, seen: Collection[str]
) -> Page:
    """One page of what a search found.

    Args:
        goal: The shopper's.
        products: Those on this page.
        number: Of the page, from 1.
        total: Hits on all pages.
        seen: Identifiers of the products that were looked at.
    """
    elements = [*_top(goal), Element(Role.HEADING, f"Page {number} (Total results: {total})")]
    if number > 1:
        elements.append(Element(Role.BUTTON, PREVIOUS))
    if number * PER_PAGE < total:  # officially there is always a next page, an empty one too
        elements.append(Element(Role.BUTTON, NEXT))
    for product in products:
        elements += [
            Element(Role.LINK, product.asin, chosen=product.asin in seen),
            Element(Role.TEXT, product.title),
            Element(Role.TEXT, product.price_tag),
        ]
    return Page(PageKind.RESULTS, tuple(elements))


def item_page(goal: Goal, product: Product, chosen: Mapping[str, str]) -> Page:
    """A product with its options.

    Args:
        goal: The shopper's.
        product: What is looked at.
        chosen: Name of each chosen option to its value.
    """
    elements = [*_top(goal), Element(Role.BUTTON, PREVIOUS)]
    for name, values in product.options.items():
        elements.append(Element(Role.OPTION_NAME, name))
        elements += [
            Element(Role.OPTION, value, option=name, chosen=value in chosen.values())
            for value in values
        ]
    elements += [
        Element(Role.HEADING, product.title),
        Element(Role.TEXT, f"Price: {product.price_tag}"),
        Element(Role.TEXT, "Rating: N.A."),
        *(Element(Role.BUTTON, name) for name in SUB_PAGES),
        Element(Role.BUTTON, BUY),
    ]
    return Page(PageKind.ITEM, tuple(elements))


def sub_page(goal: Goal, product: Product, name: str) -> Page:
    """A product's description, features, or reviews, of which the official data has none."""
    texts = {
        "Description": (product.description,),
        "Features": product.bullets,
        "Reviews": ("No reviews found",),
    }[name]
    elements = (
        *_top(goal),
        Element(Role.BUTTON, PREVIOUS),
        *(Element(Role.TEXT, content) for content in texts),
    )
    return Page(PageKind.SUB, elements)


def done_page(product: Product, chosen: Mapping[str, str], reward: float) -> Page:
    """What is seen after the purchase: with all that the official text has, and its None."""
    bought = {
        "asin": product.asin,
        "options": _html_safe(json.dumps(chosen, sort_keys=True)),
        **dict.fromkeys(("attrs", "category", "query", "product category"), "None"),
    }
    target = ("asin", "options", "attrs", "price upper", "instuction text", "category",
              "product category", "query")  # fmt: skip
    hidden = [
        "Purchased", *(part for item in bought.items() for part in item),
        "Target", *target, "Goal", "None", "Reward",
    ]  # fmt: skip
    elements = (
        Element(Role.HEADING, "Thank you for shopping with us!"),
        *(Element(Role.HIDDEN, part) for part in ("Your code: ", "None")),
        Element(Role.HIDDEN, " (Paste it in your MTurk interface.)"),
        *(Element(Role.HIDDEN, part) for part in hidden),
        Element(Role.TEXT, "Your score (min 0.0, max 1.0)"),
        Element(Role.TEXT, str(reward)),
        *(Element(Role.HIDDEN, part) for part in ("Reward Details ", "None")),
    )
    return Page(PageKind.DONE, elements)


def _html_safe(text: str) -> str:
    """As the official template writes JSON."""
    for sign in "<>&'":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text


def text(page: Page) -> str:
    """The page as the paper's agents read it: its texts, joined by `` [SEP] ``."""
    parts = (element.text.strip() for element in page.elements)
    return " [SEP] ".join(part for part in parts if part)


def rich_text(page: Page) -> str:
    """The page with its buttons marked, and what was clicked: the mode ``text_rich``."""
    told = ""
    for element in page.elements:
        if not element.text:
            continue
        mark = "clicked button" if element.chosen else "button"
        match element.role:
            case Role.BUTTON | Role.SEARCH:
                shown = f"[button] {element.text} [button_]"
            case Role.OPTION:
                shown = f"  [{mark}] {element.text} [{mark}_]"
                if element.chosen:
                    told = f"You have clicked {element.text}.\n{told}"
            case Role.LINK:
                shown = f"\n[{mark}] {element.text} [{mark}_]"
            case _:
                shown = element.text
        told += f"{shown}\n"
    return told
