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

__all__ = ["LocalModel", "weights_digest"]

# Requests that coroutines make "at once" arrive some microseconds apart.
_GATHER_S = 0.005
# Of so small a model, threads wait for each other longer than they compute.
_TINY_PARAMETERS = 2_000_000
_SHAPING_FILES = ("config.json", "generation_config.json", "tokenizer.json", "chat_template.jinja")


@dataclass(eq=False)
class _Row:
    """One completion in the making."""

    prompt: tuple[int, ...]
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
        self._weights = weights_digest(path)
        self._model, self._tokenizer = _load(path, device)
        self._context = int(self._model.config.get_text_config().max_position_embeddings)
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
        prompt = tuple(self.prompt_tokens(messages))
        if len(prompt) + sampling.max_tokens > self._context:
            raise ContextLimitError(
                f"{len(prompt)} prompt tokens and max_tokens {sampling.max_tokens} exceed the "
                f"context of {self._name}, {self._context} tokens"
            )
        seed = random.getrandbits(31) if sampling.seed is None else sampling.seed
        rows = [
            _Row(prompt, sampling, random.Random(seed_from(seed, prompt, at)))  # noqa: S311
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
        """Ends the worker thread once the requests already made are answered."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._queue.put(None)
        await asyncio.to_thread(self._worker.join)

    def _work(self) -> None:
        """Generates batch after batch until closed."""
        import torch

        if self._model.num_parameters() < _TINY_PARAMETERS:
            torch.set_num_threads(1)  # of this worker thread's computations
        while batch := self._next_batch():
            try:
                self._generate(batch)
            except Exception as error:  # an engine failure voids this batch's episodes, no others
                for row in batch:
                    if not row.future.done() and row.future.set_running_or_notify_cancel():
                        cause = f"{self._name}: {type(error).__name__}: {error}"
                        row.future.set_exception(ModelFault(cause))

    def _next_batch(self) -> list[_Row]:
        """Waits for a request and takes what comes with it; empty when closed."""
        batch: list[_Row] = []
        while len(batch) < self._max_batch:
            try:
                row = self._queue.get(timeout=_GATHER_S if batch else None)
            except queue.Empty:
                break
            if row is None:
                self._queue.put(None)  # for the next call
                break
            if not row.future.cancelled():
                batch.append(row)
        return batch

    def _generate(self, rows: list[_Row]) -> None:
        """Generates all rows to their ends, one token of each at a time."""
        import torch

        prompts = list(dict.fromkeys(row.prompt for row in rows))  # n samples share one
        gaps = [max(map(len, prompts)) - len(prompt) for prompt in prompts]
        # Padding stands on the left and is masked out: any token will do.
        tokens = [[0] * gap + [*prompt] for gap, prompt in zip(gaps, prompts, strict=True)]
        shown = [[0] * gap + [1] * len(prompt) for gap, prompt in zip(gaps, prompts, strict=True)]
        mask = torch.tensor(shown, device=self._model.device)
        logits, cache = self._forward(tokens, mask, None)
        going = [prompts.index(row.prompt) for row in rows]
        cache.batch_select_indices(torch.tensor(going, device=mask.device))
        logits, mask = logits[going], mask[going]
        while True:
            for row, token in zip(rows, _draw(logits, rows), strict=True):
                row.tokens.append(token)
            going = [at for at, row in enumerate(rows) if not self._finish(row)]
            if not going:
                return
            if len(going) < len(rows):
                cache.batch_select_indices(torch.tensor(going, device=mask.device))
                rows, mask = [rows[at] for at in going], mask[going]
            mask = torch.cat([mask, mask.new_ones((len(rows), 1))], dim=1)
            logits, cache = self._forward([row.tokens[-1:] for row in rows], mask, cache)

    def _forward(
        self, tokens: list[list[int]], mask: torch.Tensor, cache: Any
    ) -> tuple[torch.Tensor, Any]:
        """Logits of each row's next token (rows by vocabulary, float32) and the grown cache."""
        import torch

        new = torch.tensor(tokens, device=mask.device)
        with torch.inference_mode():
            output = self._model(
                input_ids=new,
                attention_mask=mask,
                position_ids=(mask.cumsum(-1) - 1).clamp(min=0)[:, -new.shape[1] :],
                past_key_values=cache,
                use_cache=True,
                logits_to_keep=1,
            )
            return output.logits[:, -1].float(), output.past_key_values

    def _finish(self, row: _Row) -> bool:
        """Answers a row that has ended; True when it needs no more tokens."""
        if row.future.cancelled():
            return True
        full = len(row.tokens) == row.sampling.max_tokens
        ended = row.tokens[-1] in self._ends
        if not (full or ended or row.sampling.stop):
            return False
        text = self._tokenizer.decode(row.tokens, skip_special_tokens=True)
        cut = cut_at_stop(text, row.sampling.stop)
        stopped = ended or cut != text
        if not (full or stopped):
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
    chosen = [rows[at] for at in warm]
    numbers = [(row.sampling.temperature, row.sampling.top_p, row.dice.random()) for row in chosen]
    columns = torch.tensor(numbers, dtype=torch.float64, device=logits.device)
    temperature, nucleus, dice = columns.T.unsqueeze(-1)
    likely = (logits[warm].double() / temperature).softmax(-1)
    # A token is in the nucleus while the likelier ones don't yet fill it.
    ordered = likely.sort(dim=-1, descending=True).values
    outside = ordered.cumsum(-1) - ordered >= nucleus
    least = ordered.masked_fill(outside, 1.0).amin(-1, keepdim=True)
    mass = likely.masked_fill(likely < least, 0.0).cumsum(-1)
    drawn = torch.searchsorted(mass, dice * mass[:, -1:], right=True)
    for at, token in zip(warm, drawn.flatten().tolist(), strict=True):
        best[at] = min(token, logits.shape[-1] - 1)
    return best


def _load(path: Path, device: str) -> tuple[Any, Any]:
    try:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer
        from transformers.utils import logging
    except ImportError as error:
        raise MissingDependencyError(error.name or "torch", "train") from error
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    shows_bars = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        tokenizer = AutoTokenizer.from_pretrained(path, local_files_only=True)
        model = AutoModelForCausalLM.from_pretrained(
            path, local_files_only=True, dtype="auto", use_safetensors=True
        )
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: can't be loaded as a causal language model: {error}") from error
    finally:
        if shows_bars:
            logging.enable_progress_bar()
    if tokenizer.chat_template is None:
        raise DataError(f"{path}: the tokenizer has no chat template")
    return model.to(device).eval(), tokenizer


def weights_digest(path: Path) -> str:
    """Hash of all files that shape what a model says; one pass over the bytes.

    Raises:
        DataError: `path` holds no model.
    """
    weights = sorted(path.glob("*.safetensors"))
    if not weights:
        raise DataError(f"{path}: no model here (a directory with *.safetensors is needed)")
    sums = hashlib.sha256()
    for file in (*weights, *(path / name for name in _SHAPING_FILES)):
        if file.is_file():
            with file.open("rb") as stream:
                sums.update(hashlib.file_digest(stream, "sha256").digest())
    return sums.hexdigest()[:16]


def _end_tokens(model: Any, tokenizer: Any) -> set[int]:
    """Tokens that end a reply: the tokenizer's and those of the generation configuration."""
    found = model.generation_config.eos_token_id
    listed = found if isinstance(found, list) else [found]
    return {token for token in (tokenizer.eos_token_id, *listed) if token is not None}
