"""A chat model that is never asked the same thing twice in a run."""

from __future__ import annotations

from collections.abc import Sequence

from metaplan.core import ContextLimitError, ModelFault, digest
from metaplan.episodes import RetryPolicy, RunStore, retried
from metaplan.models import ChatModel, Completion, Message, Sampling, Usage
from metaplan.runs.faults import naming

__all__ = ["RememberedModel"]

_HELLO: Message = {"role": "user", "content": "Reply with: OK"}


class RememberedModel:
    """Asks a chat model, and keeps every answer in the run before it is used.

    Whatever is built on the answers starts over after an interruption and finds those that were
    there: only requests that were in flight are made again. Refused requests are remembered too.

    Args:
        model: Whose answers they are; its fingerprint is part of each request's identity.
        store: Where they are kept.
        retry: For faults.
        asks_again: Whether a request that was refused earlier is tried once more. Where something
            has been built on the answers since, it should not be.

    Attributes:
        requests: Different ones so far; those that were answered in an earlier process count too.
        usage: Their tokens.
    """

    def __init__(
        self, model: ChatModel, store: RunStore, retry: RetryPolicy, *, asks_again: bool = True
    ) -> None:
        self._model = model
        self._store = store
        self._retry = retry
        self._asks_again = asks_again
        self.requests = 0
        self.usage = Usage()

    async def ask(self, messages: Sequence[Message], sampling: Sampling) -> Completion:
        """The answer to a request. Equal requests have equal answers: vary the seed for others.

        Raises:
            ModelFault: The model refuses this request (a content filter, say) and lives.
            ContextLimitError: The messages don't fit the model.
            RunError: The model is gone.
        """
        what = [dict(self._model.fingerprint), list(messages), sampling.model_dump(mode="json")]
        request = digest(*what)
        completion = self._store.completion(request)
        if completion is None:
            if not self._asks_again:
                self._refuse_again(request)
            completion = await self._draw(request, messages, sampling)
            self._store.add_completion(request, completion)
        self._count(completion.usage)
        return completion

    async def _draw(
        self, request: str, messages: Sequence[Message], sampling: Sampling
    ) -> Completion:
        try:
            (completion,) = await retried(
                lambda: self._model.complete(messages, sampling), self._retry
            )
        except (ModelFault, ContextLimitError) as fault:
            if isinstance(fault, ModelFault):
                await self._make_sure_that_it_lives()
            self._store.set_fact(_refusal(request), [type(fault).__name__, str(fault)])
            raise
        return completion

    async def _make_sure_that_it_lives(self) -> None:
        """Tells a bad request from a model that is gone, by a request for next to nothing."""
        with naming(f"{self._model.name} gives no answers any more"):
            await self._model.complete([_HELLO], Sampling(max_tokens=16))

    def _refuse_again(self, request: str) -> None:
        kind, cause = self._store.fact(_refusal(request)) or (None, "")
        if kind is not None:
            raise (ContextLimitError if kind == ContextLimitError.__name__ else ModelFault)(cause)

    def _count(self, usage: Usage) -> None:
        self.requests += 1
        self.usage = Usage(
            prompt_tokens=self.usage.prompt_tokens + usage.prompt_tokens,
            completion_tokens=self.usage.completion_tokens + usage.completion_tokens,
        )


def _refusal(request: str) -> str:
    return f"refused/{request}"
