"""`LocalModel`: requests of many coroutines, answered by worker threads."""

from __future__ import annotations

import asyncio
import os
import random
import threading
from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

from metaplan.core import ContextLimitError, ModelFault, seed_from
from metaplan.models.contract import Completion, Message, Sampling
from metaplan.models.local.chat import ChatTokens
from metaplan.models.local.engine import PackedEngine
from metaplan.models.local.loading import end_tokens, load, weights_digest
from metaplan.models.local.packed import CannotPackError, PackedModel
from metaplan.models.local.plain import PlainEngine
from metaplan.models.local.row import Engine, Finisher, Row
from metaplan.models.local.worker import Worker

__all__ = ["LocalModel"]

# Of so small a model, the threads of one computation wait for each other longer than they compute;
# where others use the cores as well (environment workers), they wait for those. So each computation
# keeps to one thread, and two go side by side; more would wait for Python's lock.
_SMALL_PARAMETERS = 10_000_000
_SIDE_BY_SIDE = 2


class LocalModel:
    """Generates with a Hugging Face causal language model on this machine.

    The keys and values of a session are kept from one turn to the next, as long as there is memory
    for them: only what is new in a conversation is computed. A model that can't be computed so
    (sliding windows, recurrent layers, a context beyond `cache_bytes`) computes every turn anew.

    Args:
        path: A directory with safetensors weights, tokenizer and chat template.
        max_batch: Most completions generated at a time.
        device: ``cpu``, ``cuda``, …; ``auto`` takes a GPU where there is one.
        name: For tables; the directory's name by default.
        cache_bytes: Most memory for keys and values; those of the longest unused session make room.
            0 keeps nothing.
        engines: How many generate side by side, and share the batch and the memory; None is two
            where a small model runs on a CPU of two cores or more, else one.

    Raises:
        DataError: `path` holds no such model.
        MissingDependencyError: torch or transformers is not installed.
    """

    can_continue = True

    def __init__(
        self,
        path: str | Path,
        *,
        max_batch: int = 64,
        device: str = "auto",
        name: str | None = None,
        cache_bytes: int = 2 << 30,
        engines: int | None = None,
    ) -> None:
        path = Path(path)
        self._weights = weights_digest(path)
        self._model, self._tokenizer = load(path, device)
        self._chat = ChatTokens(self._tokenizer)
        self._context = int(self._model.config.get_text_config().max_position_embeddings)
        self._name = name or path.resolve().name
        self._lock = threading.Lock()
        self._closed = False
        small = self._model.num_parameters() < _SMALL_PARAMETERS
        count = engines or (self._side_by_side() if small else 1)
        # Each has a model of its own: engines replace parts of it.
        models = [self._model, *(deepcopy(self._model) for _ in range(count - 1))]
        self._workers = [
            Worker(
                self._make_engine(model, -(-max_batch // count), cache_bytes // count),
                self._name,
                alone=small,
            )
            for model in models
        ]

    def _side_by_side(self) -> int:
        if self._model.device.type != "cpu":
            return 1
        if hasattr(os, "sched_getaffinity"):
            return min(_SIDE_BY_SIDE, len(os.sched_getaffinity(0)))
        return min(_SIDE_BY_SIDE, os.cpu_count() or 1)

    def _make_engine(self, model: Any, max_batch: int, cache_bytes: int) -> Engine:
        finisher = Finisher(self._tokenizer, end_tokens(model, self._tokenizer))
        try:
            packed = PackedModel(model, context=self._context, memory_bytes=cache_bytes)
        except CannotPackError:
            return PlainEngine(model, finisher, max_batch=max_batch)
        return PackedEngine(packed, finisher, max_batch=max_batch, context=self._context)

    @property
    def name(self) -> str:
        """For tables and logs."""
        return self._name

    @property
    def fingerprint(self) -> Mapping[str, str]:
        """Hash of the model's files and the number format they are computed in."""
        return {"weights": self._weights, "dtype": str(self._model.dtype).removeprefix("torch.")}

    async def complete(
        self,
        messages: Sequence[Message],
        sampling: Sampling,
        *,
        n: int = 1,
        session: str | None = None,
    ) -> list[Completion]:
        """Draws `n` completions; see `ChatModel.complete`.

        With a seed, the i-th completion depends on messages, sampling, seed and i alone: on what
        else is in a batch, and on what is kept of the session, only as far as sums are rounded in
        another order. Logits then differ by about a millionth, and a text only where two tokens
        were as close as that. A request whose coroutine is cancelled is dropped.
        """
        prompt = tuple(self._chat.prompt(messages, session))
        if len(prompt) + sampling.max_tokens > self._context:
            raise ContextLimitError(
                f"{len(prompt)} prompt tokens and max_tokens {sampling.max_tokens} exceed the "
                f"context of {self._name}, {self._context} tokens"
            )
        seed = random.getrandbits(31) if sampling.seed is None else sampling.seed
        rows = [
            Row(
                prompt,
                sampling,
                random.Random(seed_from(seed, prompt, at)),  # noqa: S311
                session=session if at == 0 else None,
            )
            for at in range(n)
        ]
        with self._lock:
            if self._closed:
                raise ModelFault(f"{self._name} is closed")
            for row in rows:
                # Where the conversation is kept, or another with the same beginning.
                self._workers[hash(session or row.prompt) % len(self._workers)].put(row)
        return list(await asyncio.gather(*(asyncio.wrap_future(row.future) for row in rows)))

    def prompt_tokens(self, messages: Sequence[Message]) -> list[int]:
        """The token ids that the model reads for a chat: those that training showed it."""
        return self._chat.prompt(messages)

    async def close(self) -> None:
        """Ends the worker threads once the requests already made are answered."""
        with self._lock:
            if not self._closed:
                self._closed = True
                for worker in self._workers:
                    worker.close()
        for worker in self._workers:
            await asyncio.to_thread(worker.join)
