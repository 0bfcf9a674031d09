"""Muon for the matrices of a model, AdamW for the rest: learns in half the updates.

For the tiny planner that is trained from nothing, this decides whether it copies a task's words
into the plan. See Jordan and others, "Muon: An optimizer for hidden layers in neural networks"
(2024); the scaling that lets both share one learning rate is Moonshot's ("Muon is scalable for LLM
training", 2025).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.optim import AdamW, Muon, Optimizer

__all__ = ["MuonAndAdamW"]


class MuonAndAdamW(Optimizer):
    """Two optimizers that a trainer and its scheduler see as one.

    Args:
        model: Embeddings, the output layer and vectors go to AdamW, all other matrices to Muon.
        learning_rate: Of both.
        weight_decay: Of both; vectors have none.
    """

    def __init__(
        self, model: torch.nn.Module, *, learning_rate: float, weight_decay: float
    ) -> None:
        lookups = {id(weight) for weight in _lookups(model)}
        trained = [weight for weight in model.parameters() if weight.requires_grad]
        hidden = [weight for weight in trained if weight.ndim == 2 and id(weight) not in lookups]
        tables = [weight for weight in trained if id(weight) in lookups]
        vectors = [weight for weight in trained if weight.ndim != 2]
        self._parts: list[Optimizer] = [
            Muon(
                hidden,
                lr=learning_rate,
                weight_decay=weight_decay,
                adjust_lr_fn="match_rms_adamw",
            ),
            AdamW(
                [
                    {"params": tables, "weight_decay": weight_decay},
                    {"params": vectors, "weight_decay": 0.0},
                ],
                lr=learning_rate,
            ),
        ]
        super().__init__(self._groups(), {})

    def _groups(self) -> list[dict[str, Any]]:
        """The parts' own groups: what a scheduler writes into them, the parts read."""
        return [group for part in self._parts for group in part.param_groups]

    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Updates all weights."""
        loss = closure() if closure is not None else None
        for part in self._parts:
            part.step()
        return loss

    def state_dict(self) -> dict[str, Any]:
        """Of both parts."""
        return {"parts": [part.state_dict() for part in self._parts]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restores both parts."""
        for part, state in zip(self._parts, state_dict["parts"], strict=True):
            part.load_state_dict(state)
        self.param_groups = self._groups()


def _lookups(model: torch.nn.Module) -> list[torch.nn.Parameter]:
    """Matrices whose rows stand for words: they are no maps between layers."""
    tables = [module.weight for module in model.modules() if isinstance(module, torch.nn.Embedding)]
    output = getattr(model, "lm_head", None)
    return [*tables, *([output.weight] if output is not None else [])]
