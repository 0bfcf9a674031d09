"""Which engine a model gets, and the thread that runs it."""

from __future__ import annotations

from typing import Any

from metaplan.models.local.drawing import Drawer
from metaplan.models.local.engine import PackedEngine
from metaplan.models.local.loading import context_of, end_tokens
from metaplan.models.local.packed import CannotPackError, PackedModel
from metaplan.models.local.plain import PlainEngine
from metaplan.models.local.row import Engine, Finisher
from metaplan.models.local.worker import Worker

__all__ = ["is_small", "start_worker"]

# Of so small a model, the threads of one computation wait for each other longer than they compute;
# where others use the cores as well (environment workers), they wait for those.
_SMALL_PARAMETERS = 10_000_000


def is_small(model: Any) -> bool:
    """Whether each computation of a model is best kept to one core."""
    return int(model.num_parameters()) < _SMALL_PARAMETERS


def start_worker(
    model: Any, tokenizer: Any, *, name: str, max_batch: int, cache_bytes: int
) -> Worker:
    """Starts a thread that answers with a model; see `LocalModel` for the arguments."""
    engine = _make_engine(model, tokenizer, max_batch, cache_bytes)
    return Worker(engine, name, alone=is_small(model))


def _make_engine(model: Any, tokenizer: Any, max_batch: int, cache_bytes: int) -> Engine:
    drawer = Drawer(tokenizer)
    finisher = Finisher(tokenizer, end_tokens(model, tokenizer))
    context = context_of(model)
    try:
        packed = PackedModel(model, context=context, memory_bytes=cache_bytes)
    except CannotPackError:
        return PlainEngine(model, drawer, finisher, max_batch=max_batch)
    return PackedEngine(packed, drawer, finisher, max_batch=max_batch, context=context)
