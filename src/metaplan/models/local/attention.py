"""The attention function of packed models: each conversation over its own keys and values.

It is handed to transformers by its `AttentionInterface`, and calls of the model hand it their
`Step`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from metaplan.models.local.cache import Extent

if TYPE_CHECKING:
    import torch

__all__ = ["Step", "register"]

_NAME = "metaplan_packed"
# Masks for more new tokens are large and rarely needed twice: they are not kept.
_MANY_TOKENS = 256
# What else a model may ask of its attention, and this one has not.
_UNKNOWN = ("sliding_window", "softcap", "s_aux", "position_bias")


def register() -> str:
    """Makes the function known to transformers; returns the name to choose it by."""
    from transformers import AttentionInterface

    AttentionInterface.register(_NAME, _attention)
    return _NAME


@dataclass(frozen=True, eq=False)
class _Part:
    """One conversation's share of a step.

    Attributes:
        new: Its new tokens in the sequence that is computed.
        places: Those of all its tokens, new ones included.
        mask: See `_mask`: new tokens by all of its tokens.
        begins: Whether all its tokens are new.
    """

    new: slice
    places: slice
    mask: torch.Tensor | None
    begins: bool


@dataclass(frozen=True, eq=False)
class _Batch:
    """All conversations with a single new token, as one padded batch.

    Attributes:
        new: Where their tokens stand in the sequence that is computed.
        places: Of their tokens: rows by the longest one's length, padded with any.
        mask: Which of those are real: rows by 1 by 1 by length.
    """

    new: torch.Tensor
    places: torch.Tensor
    mask: torch.Tensor


class Step:
    """What one call of a model computes: new tokens of conversations, one after the other.

    Args:
        keys: Of all conversations, for each layer: 1 by heads by places by head size.
        values: Likewise.
        extents: Of the conversations; their tokens are with the new ones already.
        sizes: How many of its tokens are new, of each.
        batched: Compute those with one new token as a batch. Gathering a batch is dear where
            memory is slow, and starting each computation by itself where a GPU computes.

    Attributes:
        ends: After each conversation's last new token in the sequence that is computed.
        positions: Of the tokens of that sequence in their conversations.
    """

    def __init__(
        self,
        keys: Sequence[torch.Tensor],
        values: Sequence[torch.Tensor],
        extents: Sequence[Extent],
        sizes: Sequence[int],
        *,
        batched: bool,
    ) -> None:
        import torch

        self._keys, self._values = keys, values
        self._device = keys[0].device
        self.ends = list(accumulate(sizes))
        spans = [
            range(len(extent.tokens) - size, len(extent.tokens))
            for extent, size in zip(extents, sizes, strict=True)
        ]
        self.positions = torch.tensor([at for span in spans for at in span], device=self._device)
        moved = [
            range(extent.start + span.start, extent.start + span.stop)
            for extent, span in zip(extents, spans, strict=True)
        ]
        self._places = torch.tensor([at for span in moved for at in span], device=self._device)
        self._parts = [
            _Part(
                new=slice(end - len(span), end),
                places=slice(extent.start, extent.start + span.stop),
                mask=_mask(span, keys[0]),
                begins=span.start == 0,
            )
            for extent, span, end in zip(extents, spans, self.ends, strict=True)
            if not (batched and len(span) == 1)
        ]
        single = [at for at, size in enumerate(sizes) if batched and size == 1]
        self._batch = self._gather(
            [extents[at] for at in single], [self.ends[at] - 1 for at in single]
        )

    def _gather(self, extents: Sequence[Extent], new: list[int]) -> _Batch | None:
        import torch

        if not extents:
            return None
        lengths = torch.tensor([len(extent.tokens) for extent in extents], device=self._device)
        starts = torch.tensor([extent.start for extent in extents], device=self._device)
        at = torch.arange(int(lengths.max()), device=self._device)
        real = at < lengths.unsqueeze(1)
        places = torch.where(real, starts.unsqueeze(1) + at, starts.unsqueeze(1))
        return _Batch(torch.tensor(new, device=self._device), places, real[:, None, None])

    def store(self, layer: int, key: torch.Tensor, value: torch.Tensor) -> None:
        """Puts a layer's new keys and values into their places."""
        self._keys[layer].index_copy_(2, self._places, key)
        self._values[layer].index_copy_(2, self._places, value)

    def attend(self, layer: int, query: torch.Tensor, scaling: float | None) -> torch.Tensor:
        """Attention of the new tokens: 1 by heads by tokens by head size, like `query`."""
        import torch
        from torch.nn.functional import scaled_dot_product_attention

        keys, values = self._keys[layer], self._values[layer]
        grouped = keys.shape[1] != query.shape[1]
        outputs = [
            scaled_dot_product_attention(
                query[:, :, part.new],
                keys[:, :, part.places],
                values[:, :, part.places],
                attn_mask=part.mask,
                is_causal=part.begins,
                scale=scaling,
                enable_gqa=grouped,
            )
            for part in self._parts
        ]
        if self._batch is None:
            return torch.cat(outputs, dim=2)
        output = query.new_empty((*query.shape[:3], values.shape[3]))
        for part, own in zip(self._parts, outputs, strict=True):
            output[:, :, part.new] = own
        batch = self._batch
        together = scaled_dot_product_attention(
            query[0, :, batch.new].transpose(0, 1).unsqueeze(2),
            keys[0, :, batch.places].transpose(0, 1),
            values[0, :, batch.places].transpose(0, 1),
            attn_mask=batch.mask,
            scale=scaling,
            enable_gqa=grouped,
        )
        output[0, :, batch.new] = together.squeeze(2).transpose(0, 1)
        return output


def _mask(span: range, like: torch.Tensor) -> torch.Tensor | None:
    """What is added to scores: minus infinity where a new token must not see another.

    None where each sees all, or those before it from the first.
    """
    if span.start == 0 or len(span) == 1:
        return None
    if len(span) > _MANY_TOKENS:
        return _additive(len(span), span.start, like.dtype, like.device)
    new, before = _at_least(len(span)), _at_least(span.start)
    mask = _kept_mask(new, before, like.dtype, like.device)
    return mask[: len(span), before - span.start : before + len(span)]


def _at_least(size: int) -> int:
    """The power of two: so few masks are made."""
    return 1 << (size - 1).bit_length()


def _additive(new: int, before: int, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    """For `new` tokens after `before` others; masks for fewer are parts of it."""
    import torch

    hidden = torch.ones(new, before + new, dtype=torch.bool, device=device).triu(before + 1)
    return torch.zeros(hidden.shape, dtype=dtype, device=device).masked_fill_(hidden, -math.inf)


_kept_mask = lru_cache(maxsize=32)(_additive)


def _attention(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: Any,
    *,
    packed: Step,
    scaling: float | None = None,
    **others: Any,
) -> tuple[torch.Tensor, None]:
    """What a model calls in every layer, with 1 by heads by new tokens by head size."""
    unknown = [name for name in _UNKNOWN if others.get(name) is not None]
    if attention_mask is not None or unknown:
        raise ValueError(f"attention with {unknown or 'a mask'} is not supported")
    packed.store(module.layer_idx, key, value)
    return packed.attend(module.layer_idx, query, scaling).transpose(1, 2), None
