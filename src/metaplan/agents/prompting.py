"""What the agent reads: the first message, the plan in it, and what its replies mean."""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import StrEnum
from functools import cache
from importlib import resources

from metaplan.core import Dialect, MetaPlan, Placement, Task, fill
from metaplan.environments import Benchmark
from metaplan.models import Message

__all__ = ["PromptProfile", "find_action", "first_message", "format_error_text", "insert_plan"]


class PromptProfile(StrEnum):
    """How much the prompts say: the paper's texts, or short ones for models too small for them."""

    PAPER = "paper"
    COMPACT = "compact"


@cache
def _text(name: str) -> str:
    return (resources.files(__package__) / "prompts" / f"{name}.txt").read_text("utf-8")


def format_error_text() -> str:
    """What the agent reads after a reply in which no action could be found."""
    return _text("format_error")


def first_message(
    benchmark: Benchmark, task: Task, instruction: str, profile: PromptProfile
) -> Message:
    """The user message that opens an episode (Figures 10-12), without a plan.

    Args:
        benchmark: Whose instruction prompt and 1-shot example are used.
        task: Chooses the example (one per task type).
        instruction: The task with what the agent sees first, as this episode's reset gave it.
        profile: ``paper``: Figures 10-12 with a 1-shot example. ``compact``: neither.
    """
    if profile is PromptProfile.COMPACT:
        content = fill(_text("compact"), task_instruction=instruction)
    else:
        content = fill(
            benchmark.prompts.instruction,
            example=benchmark.example(task),
            task_instruction=instruction,
        )
    return {"role": "user", "content": content}


def insert_plan(
    messages: Sequence[Message],
    plan: MetaPlan,
    placement: Placement = Placement.INSTRUCTION,
    dialect: Dialect = Dialect.META_PLAN,
) -> list[Message]:
    """Puts a meta plan into a conversation with an agent (paper, section 5.2).

    The messages stay as they are; a new list is returned, so that a growing conversation can be
    given the same plan before every turn, with a stable beginning for prefix caches.

    Args:
        messages: The conversation, from the user message with the task on.
        plan: The plan.
        placement: ``instruction``: after the task, in the first user message (Figures 10-12).
            ``observation``: after every later user message. ``thought``: at the beginning of
            every assistant message; where an answer is due, a last assistant message is added
            that the model has to continue.
        dialect: Whether the plan is called "meta plan" or "workflow".

    Raises:
        ValueError: There is no user message.
    """
    first = next((at for at, message in enumerate(messages) if message["role"] == "user"), None)
    if first is None:
        raise ValueError("a conversation needs a user message to put a plan into")
    sentence = fill(_text("plan"), plan_words=dialect.words, plan=plan.text)
    placed = list(messages)
    if placement is Placement.INSTRUCTION:
        placed[first] = _followed_by(sentence, messages[first])
        return placed
    thought = f"Thought: {sentence}\n"
    for at, message in enumerate(messages):
        if placement is Placement.OBSERVATION and message["role"] == "user" and at > first:
            placed[at] = _followed_by(sentence, message)
        if placement is Placement.THOUGHT and message["role"] == "assistant":
            placed[at] = {"role": "assistant", "content": thought + message["content"]}
    if placement is Placement.THOUGHT and messages[-1]["role"] == "user":
        placed.append({"role": "assistant", "content": thought})
    return placed


def _followed_by(sentence: str, message: Message) -> Message:
    return {"role": message["role"], "content": f"{message['content']}\n\n{sentence}"}


_ACTION = r"action ?\d{0,2}[ *_]{0,4}:[\s*_`]{0,8}"
_ACTION_TEXT = rf"(?:{_ACTION})?(?!(?:observation|thought)\b)(?P<action>[^\n]*)"
_ACTION_LINE = re.compile(
    rf"^[ \t*_>#`-]{{0,8}}{_ACTION}{_ACTION_TEXT}", re.IGNORECASE | re.MULTILINE
)
_ACTION_INLINE = re.compile(rf"\bA(?i:{_ACTION[1:]}{_ACTION_TEXT})")


def find_action(reply: str) -> str | None:
    """The action in a reply ``Thought: … Action: …``; None after a format error.

    The first action counts: whatever a model writes after it (an imagined observation and further
    actions) has not happened. It may stand on the line below its label. Markdown around it is
    dropped.
    """
    found = _ACTION_LINE.search(reply) or _ACTION_INLINE.search(reply)
    action = found["action"].strip(" \t\r*_`") if found else ""
    return action or None
