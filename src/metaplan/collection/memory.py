"""A chat model that is never asked the same thing twice in a run."""

from __future__ import annotations

from collections.abc import Sequence

from metaplan.core import digest
from metaplan.episodes import RetryPolicy, RunStore, retried
from metaplan.models import ChatModel, Completion, Message, Sampling, Usage

__all__ = ["RememberedModel"]


class RememberedModel:
    """Asks a chat model, and keeps every answer in the run before it is used.

    Whatever is built on the answers starts over after an interruption and finds those that were
    there: only requests that were in flight are made again.

    Args:
        model: Whose answers they are; its fingerprint is part of each request's identity.
        store: Where they are kept.
        retry: For faults.

    Attributes:
        requests: Different ones so far; those that were answered in an earlier process count too.
        usage: Their tokens.
    """

    def __init__(self, model: ChatModel, store: RunStore, retry: RetryPolicy) -> None:
        self._model = model
        self._store = store
        self._retry = retry
        self.requests = 0
        self.usage = Usage()

    async def ask(self, messages: Sequence[Message], sampling: Sampling) -> Completion:
        """The answer to a request. Equal requests have equal answers: vary the seed for others.

        Raises:
            ModelFault: No answer in all attempts.
            ContextLimitError: The messages don't fit the model.
        """
        what = [dict(self._model.fingerprint), list(messages), sampling.model_dump(mode="json")]
        request = digest(*what)
        completion = self._store.completion(request)
        if completion is None:
            (completion,) = await retried(
                lambda: self._model.complete(messages, sampling), self._retry
            )
            self._store.add_completion(request, completion)
        self._count(completion.usage)
        return completion

    async def make_sure_that_it_lives(self) -> None:
        """Asks for next to nothing: tells, after a fault, a bad request from a model that is gone.

        Raises:
            ModelFault: It is gone.
        """
        hello: Message = {"role": "user", "content": "Reply with: OK"}
        await self._model.complete([hello], Sampling(max_tokens=16))

    def _count(self, usage: Usage) -> None:
        self.requests += 1
        self.usage = Usage(
            prompt_tokens=self.usage.prompt_tokens + usage.prompt_tokens,
            completion_tokens=self.usage.completion_tokens + usage.completion_tokens,
        )
