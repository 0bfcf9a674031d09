"""A small causal language model in this process, behind the `ChatModel` contract.

Requests of many coroutines are gathered into batches, which one worker thread generates from start
to end. Each completion draws from a random stream of its own, so that its text does not depend on
what else is in the batch. Simple and right rather than fast.
"""

from __future__ import annotations

import asyncio
import hashlib
import queue
import random
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from metaplan.core import (
    ContextLimitError,
    DataError,
    MissingDependencyError,
    ModelFault,
    seed_from,
)
from metaplan.models.contract import Completion, Message, Sampling, Usage, cut_at_stop

if TYPE_CHECKING:
    import torch

__all__ = ["LocalModel"]

# Requests that coroutines make "at once" arrive some microseconds apart.
_GATHER_S = 0.005


@dataclass(eq=False)
class _Row:
    """One completion in the making."""

    prompt: list[int]
    sampling: Sampling
    dice: random.Random
    future: Future[Completion] = field(default_factory=Future)
    tokens: list[int] = field(default_factory=list)


class LocalModel:
    """Generates with a Hugging Face causal language model on this machine.

    Args:
        path: A directory with safetensors weights, tokenizer and chat template.
        max_batch: Most completions generated at a time.
        device: ``cpu``, ``cuda``, …; ``auto`` takes a GPU where there is one.
        name: For tables; the directory's name by default.

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
    ) -> None:
        path = Path(path)
        self._weights = _weights_digest(path)
        self._model, self._tokenizer = _load(path, device)
        self._context = int(self._model.config.max_position_embeddings)
        self._ends = _end_tokens(self._model, self._tokenizer)
        self._max_batch = max_batch
        self._name = name or path.resolve().name
        self._queue: queue.SimpleQueue[_Row | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._closed = False
        self._worker = threading.Thread(target=self._work, name="metaplan-local", daemon=True)
        self._worker.start()

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
        session: str | None = None,  # noqa: ARG002  (every request is computed anew)
    ) -> list[Completion]:
        """Draws `n` completions; see `ChatModel.complete`.

        With a seed, the i-th completion depends on messages, sampling, seed and i alone. A request
        whose coroutine is cancelled is dropped.
        """
        prompt = self.prompt_tokens(messages)
        if len(prompt) + sampling.max_tokens > self._context:
            raise ContextLimitError(
                f"{len(prompt)} prompt tokens and max_tokens {sampling.max_tokens} exceed the "
                f"context of {self._name}, {self._context} tokens"
            )
        seed = random.getrandbits(31) if sampling.seed is None else sampling.seed
        rows = [
            _Row(prompt, sampling, random.Random(seed_from(seed, at)))  # noqa: S311
            for at in range(n)
        ]
        with self._lock:
            if self._closed:
                raise ModelFault(f"{self._name} is closed")
            for row in rows:
                self._queue.put(row)
        return list(await asyncio.gather(*(asyncio.wrap_future(row.future) for row in rows)))

    def prompt_tokens(self, messages: Sequence[Message]) -> list[int]:
        """The token ids that the model reads for a chat: those that training showed it."""
        goes_on = messages[-1]["role"] == "assistant"
        tokens: list[int] = self._tokenizer.apply_chat_template(
            list(messages),
            add_generation_prompt=not goes_on,
            continue_final_message=goes_on,
            return_dict=False,
        )
        return tokens

    async def close(self) -> None:
        """Ends the worker thread after the batch it is at; requests still waiting fail."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._queue.put(None)
        await asyncio.to_thread(self._worker.join)

    def _work(self) -> None:
        """Generates batch after batch until closed."""
        while (batch := self._next_batch()) is not None:
            try:
                self._generate(batch)
            except Exception as error:  # an engine failure voids this batch's episodes, no others
                for row in batch:
                    _fail(row, f"{self._name}: {type(error).__name__}: {error}")
        while not self._queue.empty():
            if (waiting := self._queue.get()) is not None:
                _fail(waiting, f"{self._name} is closed")

    def _next_batch(self) -> list[_Row] | None:
        """Waits for a request and takes what comes with it; None when closed."""
        batch: list[_Row] = []
        while len(batch) < self._max_batch:
            try:
                row = self._queue.get(timeout=_GATHER_S if batch else None)
            except queue.Empty:
                break
            if row is None:
                for waiting in batch:
                    _fail(waiting, f"{self._name} is closed")
                return None
            if not row.future.cancelled():
                batch.append(row)
        return batch

    def _generate(self, rows: list[_Row]) -> None:
        """Generates all rows to their ends, one token of each at a time."""
        import torch

        device = self._model.device
        longest = max(len(row.prompt) for row in rows)
        padding = [longest - len(row.prompt) for row in rows]
        # Padding is masked out: any token will do.
        tokens = torch.tensor(
            [[0] * gap + row.prompt for gap, row in zip(padding, rows, strict=True)],
            device=device,
        )
        mask = torch.tensor([[0] * gap + [1] * (longest - gap) for gap in padding], device=device)
        positions = (mask.cumsum(-1) - 1).clamp(min=0)
        cache: Any = None
        while rows:
            with torch.inference_mode():
                output = self._model(
                    input_ids=tokens,
                    attention_mask=mask,
                    position_ids=positions,
                    past_key_values=cache,
                    use_cache=True,
                    logits_to_keep=1,
                )
            cache = output.past_key_values
            drawn = _draw(output.logits[:, -1].float(), rows)
            for row, token in zip(rows, drawn, strict=True):
                row.tokens.append(token)
            going = [at for at, row in enumerate(rows) if not self._finish(row)]
            if len(going) < len(rows):
                kept = torch.tensor(going, dtype=torch.long, device=device)
                cache.batch_select_indices(kept)
                mask, positions = mask[kept], positions[kept]
                rows = [rows[at] for at in going]
            tokens = torch.tensor([[row.tokens[-1]] for row in rows], device=device)
            mask = torch.cat([mask, mask.new_ones((len(rows), 1))], dim=1)
            positions = positions[:, -1:] + 1

    def _finish(self, row: _Row) -> bool:
        """Answers a row that has ended; True when it needs no more tokens."""
        if row.future.cancelled():
            return True
        ended = row.tokens[-1] in self._ends
        stop = row.sampling.stop
        if not ended and not stop and len(row.tokens) < row.sampling.max_tokens:
            return False
        text = self._tokenizer.decode(row.tokens, skip_special_tokens=True)
        cut = cut_at_stop(text, stop)
        stopped = ended or cut != text
        if not stopped and len(row.tokens) < row.sampling.max_tokens:
            return False
        if row.future.set_running_or_notify_cancel():
            row.future.set_result(
                Completion(
                    text=cut,
                    finish_reason="stop" if stopped else "length",
                    usage=Usage(prompt_tokens=len(row.prompt), completion_tokens=len(row.tokens)),
                )
            )
        return True


def _draw(logits: torch.Tensor, rows: list[_Row]) -> list[int]:
    """The next token of each row: the likeliest at temperature 0, else by inverting the CDF.

    Args:
        logits: Rows by vocabulary, float32.
        rows: With their temperature, nucleus and dice; one number is drawn per row and token.
    """
    import torch

    best: list[int] = logits.argmax(-1).tolist()
    warm = [at for at, row in enumerate(rows) if row.sampling.temperature > 0]
    if not warm:
        return best
    device = logits.device

    def column(values: list[float]) -> torch.Tensor:
        return torch.tensor(values, dtype=torch.float64, device=device).unsqueeze(1)

    temperature = column([rows[at].sampling.temperature for at in warm])
    nucleus = column([rows[at].sampling.top_p for at in warm])
    dice = column([rows[at].dice.random() for at in warm])
    likely, order = (logits[warm].double() / temperature).softmax(-1).sort(dim=-1, descending=True)
    summed = likely.cumsum(-1)
    # A token is in the nucleus while the ones before it don't yet fill it.
    likely = likely.masked_fill(summed - likely >= nucleus, 0.0)
    summed = likely.cumsum(-1)
    ranks = torch.searchsorted(summed, dice * summed[:, -1:], right=True).clamp(
        max=logits.shape[-1] - 1
    )
    for at, token in zip(warm, order.gather(-1, ranks).flatten().tolist(), strict=True):
        best[at] = token
    return best


def _fail(row: _Row, cause: str) -> None:
    if not row.future.done() and row.future.set_running_or_notify_cancel():
        row.future.set_exception(ModelFault(cause))


def _load(path: Path, device: str) -> tuple[Any, Any]:
    try:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer
    except ImportError as error:
        raise MissingDependencyError(error.name or "torch", "train") from error
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        tokenizer = AutoTokenizer.from_pretrained(path, local_files_only=True)
        model = AutoModelForCausalLM.from_pretrained(
            path, local_files_only=True, dtype="auto", use_safetensors=True
        )
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: can't be loaded as a causal language model: {error}") from error
    if tokenizer.chat_template is None:
        raise DataError(f"{path}: the tokenizer has no chat template")
    return model.to(device).eval(), tokenizer


def _weights_digest(path: Path) -> str:
    """Hash of all files that shape what the model says; one pass over the bytes."""
    weights = sorted(path.glob("*.safetensors"))
    if not weights:
        raise DataError(f"{path}: no model here (a directory with *.safetensors is needed)")
    others = [
        path / name
        for name in (
            "config.json",
            "generation_config.json",
            "tokenizer.json",
            "chat_template.jinja",
        )
    ]
    sums = hashlib.sha256()
    for file in (*weights, *(file for file in others if file.is_file())):
        with file.open("rb") as stream:
            sums.update(hashlib.file_digest(stream, "sha256").digest())
    return sums.hexdigest()[:16]


def _end_tokens(model: Any, tokenizer: Any) -> set[int]:
    """Tokens that end a reply: the tokenizer's and those of the generation configuration."""
    found = model.generation_config.eos_token_id
    listed = found if isinstance(found, list) else [found]
    return {token for token in (tokenizer.eos_token_id, *listed) if token is not None}
