"""WebShop: buying what an instruction asks for, in a shop of text pages. Its prompts so far."""

from __future__ import annotations

from metaplan.environments.contract import Prompts

__all__ = ["PROMPTS"]

PROMPTS = Prompts.read(__name__)
"""Figure 12; Figure 9 without the conversation; Figure 9."""
