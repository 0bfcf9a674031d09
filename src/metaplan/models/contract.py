"""What a chat model is to Metaplan: messages in, completions out.

Implementations: `ScriptedModel` (tests), `LocalModel` (transformers, in process), `ServedModel`
(behind HTTP endpoints), `PlanFollower` (rule-based agent). A model is used from one asyncio event
loop.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol, TypedDict, runtime_checkable

from pydantic import Field

from metaplan.core import Record

__all__ = ["ChatModel", "Completion", "Message", "Sampling", "Usage", "cut_at_stop"]


class Message(TypedDict):
    """One chat message, in the form of the OpenAI protocol and of chat templates."""

    role: Literal["system", "user", "assistant"]
    content: str


class Sampling(Record):
    """How to draw a completion.

    Attributes:
        temperature: 0 is greedy; the paper samples at 0.7 and evaluates at 0 (section 4.1).
        top_p: Nucleus mass; 1.0 keeps all.
        max_tokens: Most new tokens of one completion.
        stop: The completion ends before the first of these strings.
        seed: Makes the draw repeatable where the model allows it. It is the same for all turns of
            an episode: a model mixes it with the conversation, so that turns draw independently.
        distinct_steps: What is drawn is a plan, of which no step may be said twice in a row of
            steps that begin with the same word; a model that can't rule that out may ignore it.
    """

    temperature: float = Field(default=0.0, ge=0.0, le=2.0)
    top_p: float = Field(default=1.0, gt=0.0, le=1.0)
    max_tokens: int = Field(default=512, ge=1)
    stop: tuple[str, ...] = ()
    seed: int | None = None
    distinct_steps: bool = False


class Usage(Record):
    """Token counts of one completion, as the model counts."""

    prompt_tokens: int = 0
    completion_tokens: int = 0


class Completion(Record):
    """One reply.

    Attributes:
        text: Without the prompt, without the stop string.
        finish_reason: ``stop`` or ``length`` (cut at `Sampling.max_tokens`).
    """

    text: str
    finish_reason: Literal["stop", "length"] = "stop"
    usage: Usage = Usage()


@runtime_checkable
class ChatModel(Protocol):
    """A model that answers chats."""

    @property
    def name(self) -> str:
        """For tables and logs."""

    @property
    def can_continue(self) -> bool:
        """Whether a last message of role ``assistant`` is continued rather than answered."""

    @property
    def fingerprint(self) -> Mapping[str, str]:
        """What shapes this model's answers (weights, parameters); part of every episode's key."""

    async def complete(
        self,
        messages: Sequence[Message],
        sampling: Sampling,
        *,
        n: int = 1,
        session: str | None = None,
    ) -> list[Completion]:
        """Draws `n` completions.

        Args:
            messages: The chat so far. Where `can_continue`, a last ``assistant`` message is a
                beginning: the completion is what follows it.
            sampling: Temperature, limits, stop strings, seed.
            n: How many completions.
            session: Names a conversation that grows, so that caches can be kept for it.

        Returns:
            Exactly `n` completions.

        Raises:
            ModelFault: No answer (outage, time-out, garbage).
            ContextLimitError: The messages don't fit the model.
        """

    async def close(self) -> None:
        """Frees what the model holds. Safe to call twice."""


def cut_at_stop(text: str, stop: Sequence[str]) -> str:
    """The text before the first stop string in it."""
    ends = [at for at in (text.find(mark) for mark in stop if mark) if at >= 0]
    return text[: min(ends)] if ends else text
