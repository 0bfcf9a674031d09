"""A model that computes the new tokens of many conversations as one sequence without padding.

Attention is computed for each conversation over its own keys and values, which stay where they
are between calls; it does not depend on what else is computed with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from metaplan.models.local.attention import Step, register
from metaplan.models.local.cache import Extent

if TYPE_CHECKING:
    import torch

__all__ = ["CannotPackError", "News", "PackedModel"]

# Two short conversations by which a model's code is tried: token ids, modulo the vocabulary.
_TRIAL = ((1, 2, 3, 5, 8, 13, 21), (1, 2, 3, 4, 6))
# Rotary angles that follow the length of what is computed change keys that are already kept.
_ROPE_BY_LENGTH = ("dynamic", "longrope")


@dataclass(frozen=True, eq=False)
class News:
    """What is to be computed of a conversation.

    Attributes:
        extent: Where it is kept; the new tokens are noted there.
        tokens: Those that follow.
        asked: Of how many of the last ones the logits are wanted.
    """

    extent: Extent
    tokens: Sequence[int]
    asked: int = 1


class CannotPackError(Exception):
    """This kind of model can't be computed so."""


class PackedModel:
    """Wraps a transformers model; its attention function is replaced for good.

    Args:
        model: A causal language model whose layers all attend to all that came before.
        context: Most tokens of one conversation.
        memory_bytes: For keys and values of all conversations.
        batched: See `Step`; by default where the model is not on a CPU.

    Raises:
        CannotPackError: The model is of another kind, one conversation would not fit the memory,
            or, on trial, its logits are not those of the model itself. The model is as before then.
    """

    def __init__(
        self, model: Any, *, context: int, memory_bytes: int, batched: bool | None = None
    ) -> None:
        if any(getattr(part, "rope_type", None) in _ROPE_BY_LENGTH for part in model.modules()):
            raise CannotPackError("its rotary angles depend on the length")
        expected, layers = _reference(model)
        self._model = model
        self._batched = model.device.type != "cpu" if batched is None else batched
        self._keys, self._values = _storage(layers, context, memory_bytes)
        before = model.config._attn_implementation
        model.set_attn_implementation(register())
        try:
            self._try(expected)
        except Exception as error:  # a model's code may refuse in any way
            model.set_attn_implementation(before)
            raise CannotPackError(f"{type(error).__name__}: {error}") from error

    @property
    def places(self) -> int:
        """How many tokens' keys and values there is memory for."""
        return int(self._keys[0].shape[2])

    def compute(self, news: Sequence[News]) -> torch.Tensor:
        """Computes tokens that follow those of their extents, and notes them there.

        Returns:
            Logits after the tokens asked for, one conversation's after the other's: tokens by
            vocabulary, float32.
        """
        import torch

        for new in news:
            new.extent.tokens += new.tokens
        step = Step(
            self._keys,
            self._values,
            [new.extent for new in news],
            [len(new.tokens) for new in news],
            batched=self._batched,
        )
        tokens = torch.tensor([[token for new in news for token in new.tokens]])
        asked = [
            at
            for new, end in zip(news, step.ends, strict=True)
            for at in range(end - new.asked, end)
        ]
        with torch.inference_mode():
            output = self._model(
                input_ids=tokens.to(self._model.device),
                position_ids=step.positions.unsqueeze(0),
                use_cache=False,
                logits_to_keep=torch.tensor(asked, dtype=torch.long, device=self._model.device),
                packed=step,
            )
            logits: torch.Tensor = output.logits[0].float()
            return logits

    def copy(self, source: Extent, to: Extent, tokens: int) -> None:
        """Copies the keys and values of the first tokens of an extent to another."""
        for store in (*self._keys, *self._values):
            kept = store[:, :, source.start : source.start + tokens]
            store[:, :, to.start : to.start + tokens] = kept
        to.tokens[:] = source.tokens[:tokens]

    def _try(self, expected: Sequence[torch.Tensor]) -> None:
        """Compares with the model itself: two conversations at once, then one that goes on."""
        import torch

        longer, shorter = _trial(self._model)
        one, other = Extent(0, len(longer)), Extent(len(longer), len(shorter))
        of_shorter = self.compute([News(one, longer[:-3]), News(other, shorter)])[1]
        self.compute([News(one, longer[-3:-1])])
        of_longer = self.compute([News(one, longer[-1:])])[0]
        bound = 1e-4 if self._model.dtype in {torch.float32, torch.float64} else 3e-2
        for ours, theirs in zip((of_longer, of_shorter), expected, strict=True):
            if float((ours - theirs).abs().max()) > bound * float(theirs.abs().max()):
                raise ValueError("its logits differ from those of the model itself")


def _trial(model: Any) -> list[list[int]]:
    words = model.config.get_text_config().vocab_size
    return [[token % words for token in tokens] for tokens in _TRIAL]


def _reference(model: Any) -> tuple[list[torch.Tensor], list[Any]]:
    """The model's own last logits of the trial, and its cache's layers, for their shapes."""
    import torch
    from transformers.cache_utils import DynamicCache, DynamicLayer

    found = []
    cache: Any = None
    with torch.inference_mode():
        for tokens in _trial(model):
            ids = torch.tensor([tokens], device=model.device)
            output = model(input_ids=ids, use_cache=True)
            found.append(output.logits[0, -1].float())
            cache = getattr(output, "past_key_values", None)
    kinds = {type(layer) for layer in getattr(cache, "layers", ())}
    if type(cache) is not DynamicCache or kinds != {DynamicLayer}:
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
    if places < max(context, sum(map(len, _TRIAL))):
        raise CannotPackError(f"a whole context takes {context * token_bytes} bytes")

    def room(like: torch.Tensor) -> torch.Tensor:
        shape = (1, like.shape[1], places, like.shape[3])
        return torch.empty(shape, dtype=like.dtype, device=like.device)

    return [room(layer.keys) for layer in layers], [room(layer.values) for layer in layers]
