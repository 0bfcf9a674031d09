"""A chat model that says what it was told to: the offline model under most tests."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from metaplan.core import ModelFault
from metaplan.models.contract import Completion, Message, Sampling, Usage, cut_at_stop

__all__ = ["ScriptedCall", "ScriptedModel"]

Script = Iterable[str | Exception] | Callable[[Sequence[Message]], str]


@dataclass(frozen=True, slots=True)
class ScriptedCall:
    """One call that a `ScriptedModel` received."""

    messages: tuple[Message, ...]
    sampling: Sampling
    n: int
    session: str | None


class ScriptedModel:
    """Answers from a list, in order, or from a function of the messages.

    A list is used up: one answer per completion, so `n` completions take `n` answers; an exception
    in it is raised in its turn, which is how tests let a model fail. A function is asked once per
    completion. Stop strings apply; `Sampling.max_tokens` cuts at so many words.

    Args:
        script: The answers, or a function from messages to an answer.
        name: For tables and fingerprints.
        can_continue: Whether it claims to continue a last ``assistant`` message.

    Attributes:
        calls: What was asked, in order.
    """

    def __init__(
        self, script: Script, *, name: str = "scripted", can_continue: bool = False
    ) -> None:
        self.calls: list[ScriptedCall] = []
        self._name = name
        self._can_continue = can_continue
        self._function = script if callable(script) else None
        self._answers = iter(()) if callable(script) else iter(script)

    @property
    def name(self) -> str:
        """As given."""
        return self._name

    @property
    def can_continue(self) -> bool:
        """As given."""
        return self._can_continue

    @property
    def fingerprint(self) -> Mapping[str, str]:
        """The name: a script has no other identity."""
        return {"model": self._name}

    async def complete(
        self,
        messages: Sequence[Message],
        sampling: Sampling,
        *,
        n: int = 1,
        session: str | None = None,
    ) -> list[Completion]:
        """Records the call and gives the next `n` answers.

        Raises:
            ModelFault: The list is used up.
        """
        self.calls.append(ScriptedCall(tuple(messages), sampling, n, session))
        return [_completion(self._next(messages), messages, sampling) for _ in range(n)]

    async def close(self) -> None:
        """Nothing to free."""

    def _next(self, messages: Sequence[Message]) -> str:
        if self._function is not None:
            return self._function(messages)
        try:
            answer = next(self._answers)
        except StopIteration:
            raise ModelFault(f"{self._name}: the script has no more answers") from None
        if isinstance(answer, Exception):
            raise answer
        return answer


def _completion(answer: str, messages: Sequence[Message], sampling: Sampling) -> Completion:
    text = cut_at_stop(answer, sampling.stop)
    words = text.split()
    cut = len(words) > sampling.max_tokens
    return Completion(
        text=" ".join(words[: sampling.max_tokens]) if cut else text,
        finish_reason="length" if cut else "stop",
        usage=Usage(
            prompt_tokens=sum(len(message["content"].split()) for message in messages),
            completion_tokens=min(len(words), sampling.max_tokens),
        ),
    )
