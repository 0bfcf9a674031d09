"""A model that computes the new tokens of many conversations as one sequence without padding.

Attention is computed for each conversation over its own keys and values, which stay where they
are between calls; it does not depend on what else is computed with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from metaplan.models.local.cache import Extent

if TYPE_CHECKING:
    import torch

__all__ = ["CannotPackError", "PackedModel"]

_ATTENTION = "metaplan_packed"
_TRIAL = ((1, 2, 3, 5, 8, 13, 21), (1, 2, 3, 4, 6))


class CannotPackError(Exception):
    """This kind of model can't be computed so."""


@dataclass(frozen=True, eq=False)
class _Part:
    """A conversation in the sequence: its places are `length` ones from `start` on."""

    start: int
    length: int


class PackedModel:
    """Wraps a transformers model; its attention function is replaced for good.

    Args:
        model: A causal language model whose layers all attend to all that came before.
        context: Most tokens of one conversation.
        memory_bytes: For keys and values of all conversations.

    Raises:
        CannotPackError: The model is of another kind, one conversation would not fit the memory,
            or its logits are not those of the model itself. The model is as before then.
    """

    def __init__(self, model: Any, *, context: int, memory_bytes: int) -> None:
        expected, layers = _reference(model)
        before = model.config._attn_implementation
        self._model = model
        self._keys, self._values = _storage(layers, context, memory_bytes)
        _register()
        model.set_attn_implementation(_ATTENTION)
        try:
            self._check(expected)
        except Exception as error:  # a model's code may refuse in any way
            model.set_attn_implementation(before)
            raise CannotPackError(f"{type(error).__name__}: {error}") from error

    @property
    def places(self) -> int:
        """How many tokens' keys and values there is memory for."""
        return int(self._keys[0].shape[2])

    def compute(self, news: Sequence[tuple[Extent, Sequence[int]]]) -> torch.Tensor:
        """Computes tokens that follow those of their extents, and notes them there.

        Returns:
            Logits after the last new token of each: as many rows as `news` by vocabulary, float32.
        """
        import torch

        tokens: list[int] = []
        positions: list[int] = []
        places: list[int] = []
        parts: list[_Part] = []
        for extent, new in news:
            known = len(extent.tokens)
            length = known + len(new)
            parts.append(_Part(extent.start, length))
            tokens += new
            positions += range(known, length)
            places += range(extent.start + known, extent.start + length)
            extent.tokens += new
        sizes = [len(new) for _, new in news]
        device = self._model.device
        with torch.inference_mode():
            output = self._model(
                input_ids=torch.tensor([tokens], device=device),
                position_ids=torch.tensor([positions], device=device),
                use_cache=False,
                logits_to_keep=torch.tensor(sizes, device=device).cumsum(0) - 1,
                packed=_Step(self, parts, sizes, torch.tensor(places, device=device)),
            )
            logits: torch.Tensor = output.logits[0].float()
            return logits

    def copy(self, source: Extent, to: Extent, tokens: int) -> None:
        """Copies the keys and values of the first tokens of an extent to another."""
        for store in (*self._keys, *self._values):
            kept = store[:, :, source.start : source.start + tokens]
            store[:, :, to.start : to.start + tokens] = kept
        to.tokens[:] = source.tokens[:tokens]

    def store(
        self, layer: int, places: torch.Tensor, key: torch.Tensor, value: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Puts new keys and values into their places; returns those of all places of the layer."""
        keys, values = self._keys[layer], self._values[layer]
        keys.index_copy_(2, places, key)
        values.index_copy_(2, places, value)
        return keys, values

    def _check(self, expected: Sequence[torch.Tensor]) -> None:
        """Compares with the model itself: two conversations at once, then one that goes on."""
        import torch

        longer, shorter = (list(tokens) for tokens in _TRIAL)
        one, other = Extent(0, len(longer)), Extent(len(longer), len(shorter))
        computed = self.compute([(one, longer[:-2]), (other, shorter)])[1:]
        found = [self.compute([(one, longer[-2:])])[0], computed[0]]
        bound = 1e-4 if found[0].dtype == self._model.dtype else 3e-2
        for ours, theirs in zip(found, expected, strict=True):
            scale = float(theirs.abs().max())
            if not torch.allclose(ours, theirs, rtol=0, atol=bound * scale):
                raise ValueError("its logits differ from those of the model itself")


@dataclass(frozen=True, eq=False)
class _Step:
    """One call of `PackedModel.compute`, handed through the model to its attention function."""

    model: PackedModel
    parts: Sequence[_Part]
    sizes: list[int]
    places: torch.Tensor


def _attention(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: Any,
    *,
    packed: _Step,
    scaling: float | None = None,
    **others: Any,
) -> tuple[torch.Tensor, None]:
    """What transformers calls in every layer; a token sees its own conversation up to itself.

    Shapes: 1 by heads by new tokens by head size; the result is 1 by new tokens by heads by head
    size.
    """
    import torch
    from torch.nn.functional import scaled_dot_product_attention

    changes = [name for name in _CHANGES_ATTENTION if others.get(name) is not None]
    if attention_mask is not None or changes:
        raise ValueError(f"attention with {changes or 'a mask'} is not supported")
    keys, values = packed.model.store(module.layer_idx, packed.places, key, value)
    outputs = []
    for part, own in zip(packed.parts, torch.split(query, packed.sizes, dim=2), strict=True):
        new, end = own.shape[2], part.start + part.length
        mask = None
        if 1 < new < part.length:
            mask = torch.ones(new, part.length, dtype=torch.bool, device=query.device)
            mask = mask.tril(part.length - new)
        outputs.append(
            scaled_dot_product_attention(
                own,
                keys[:, :, part.start : end],
                values[:, :, part.start : end],
                attn_mask=mask,
                is_causal=1 < new == part.length,
                scale=scaling,
                enable_gqa=query.shape[1] != key.shape[1],
            )
        )
    return torch.cat(outputs, dim=2).transpose(1, 2), None


_CHANGES_ATTENTION = ("sliding_window", "softcap", "s_aux", "position_bias")


def _register() -> None:
    from transformers import AttentionInterface

    AttentionInterface.register(_ATTENTION, _attention)


def _reference(model: Any) -> tuple[list[torch.Tensor], list[Any]]:
    """The model's own logits of the trial, and its cache's layers, for their shapes."""
    import torch
    from transformers.cache_utils import DynamicCache, DynamicLayer

    found = []
    with torch.inference_mode():
        for tokens in _TRIAL:
            ids = torch.tensor([tokens], device=model.device)
            output = model(input_ids=ids, use_cache=True)
            found.append(output.logits[0, -1].float())
    cache: Any = getattr(output, "past_key_values", None)
    if type(cache) is not DynamicCache or any(
        type(one) is not DynamicLayer for one in cache.layers
    ):
        raise CannotPackError("some layers don't keep keys and values of all tokens")
    return found, cache.layers


def _storage(
    layers: Sequence[Any], context: int, memory_bytes: int
) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """Room for keys and for values of each layer: 1 by heads by places by head size."""
    import torch

    examples = [tensor for layer in layers for tensor in (layer.keys, layer.values)]
    token_bytes = sum(one[0, :, 0].numel() * one.element_size() for one in examples)
    places = memory_bytes // token_bytes
    if places < context:
        raise CannotPackError(f"the context takes {context * token_bytes} bytes")

    def room(like: torch.Tensor) -> torch.Tensor:
        return torch.empty(
            (1, like.shape[1], places, like.shape[3]), dtype=like.dtype, device=like.device
        )

    return [room(layer.keys) for layer in layers], [room(layer.values) for layer in layers]
