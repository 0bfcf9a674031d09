"""`LocalModel`: requests of many coroutines, answered by a thread or by several processes."""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from metaplan.core import ContextLimitError, ModelFault, seed_from, usable_cores
from metaplan.models.contract import Completion, Message, Sampling
from metaplan.models.local.chat import ChatTokens
from metaplan.models.local.engines import is_small, start_worker
from metaplan.models.local.loading import context_of, load, weights_digest
from metaplan.models.local.process import Setting
from metaplan.models.local.remote import EngineProcess
from metaplan.models.local.row import Row
from metaplan.models.local.worker import Worker

__all__ = ["LocalModel"]

_MOST_ENGINES = 8


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
        engines: How many generate side by side, each in a process of its own with a copy of the
            model, and share the batch and the memory; for small models on a CPU, whose computations
            each keep to one core. 1 generates in a thread of this process; None takes an engine a
            core where that pays.

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
        engines: int | None = 1,
    ) -> None:
        path = Path(path)
        self._weights = weights_digest(path)
        model, self._tokenizer = load(path, device)
        self._chat = ChatTokens(self._tokenizer)
        self._context = context_of(model)
        self._dtype = str(model.dtype).removeprefix("torch.")
        self._name = name or path.resolve().name
        self._lock = threading.Lock()
        self._closed = False
        if engines is None:
            engines = min(usable_cores(), _MOST_ENGINES) if is_small(model) else 1
        if engines == 1 or model.device.type != "cpu":
            one = start_worker(
                model,
                self._tokenizer,
                name=self._name,
                max_batch=max_batch,
                cache_bytes=cache_bytes,
            )
            self._workers: Sequence[Worker | EngineProcess] = [one]
        else:
            share = Setting(path, self._name, -(-max_batch // engines), cache_bytes // engines)
            self._workers = [EngineProcess(share) for _ in range(engines)]

    @property
    def name(self) -> str:
        """For tables and logs."""
        return self._name

    @property
    def fingerprint(self) -> Mapping[str, str]:
        """Hash of the model's files and the number format they are computed in."""
        return {"weights": self._weights, "dtype": self._dtype}

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
                seed_from(seed, prompt, at),
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
        """Ends whatever generates once the requests already made are answered."""
        with self._lock:
            if not self._closed:
                self._closed = True
                for worker in self._workers:
                    worker.close()
        for worker in self._workers:
            await asyncio.to_thread(worker.join)
