"""WebShop: buying what an instruction asks for, in a shop of text pages. Its prompts so far."""

from __future__ import annotations

from importlib import resources

from metaplan.environments.contract import Prompts

__all__ = ["PROMPTS"]


def _text(name: str) -> str:
    return (resources.files(__package__) / "prompts" / f"{name}.txt").read_text("utf-8").strip()


PROMPTS = Prompts(
    instruction=_text("instruction"),
    planner=_text("planner"),
    collection=_text("collection"),
)
"""Figure 12; Figure 9 without the conversation; Figure 9."""
