"""TRL's DPO on tokens that are prepared: log-probabilities of what the assistant said alone.

TRL counts all that follows the prompt. In an agent's episode that includes the environment's
observations, which the agent doesn't choose (ETO, Song et al., 2024, section 3.3).
"""

from __future__ import annotations

from typing import Any

import torch
from trl import DPOTrainer
from trl.trainer.dpo_trainer import DataCollatorForPreference
from trl.trainer.utils import pad

__all__ = ["PreferenceCollator", "PreferenceTrainer"]


class PreferenceTrainer(DPOTrainer):  # type: ignore[misc]
    """Takes the dataset of `metaplan.training.tokens.tokenise` as it is."""

    def _prepare_dataset(self, dataset: Any, *_: Any) -> Any:
        return dataset


class PreferenceCollator(DataCollatorForPreference):  # type: ignore[misc]
    """TRL's batch of pairs, where the completion is what has labels."""

    def torch_call(self, examples: list[dict[str, Any]]) -> dict[str, Any]:
        """Pads the pairs of a batch: first all chosen conversations, then all rejected ones."""
        batch: dict[str, Any] = super().torch_call([{"prompt_ids": [], **row} for row in examples])
        batch["completion_mask"] = pad(
            [
                torch.tensor([int(label != -100) for label in row[field]])
                for field in ("chosen_labels", "rejected_labels")
                for row in examples
            ],
            padding_value=0,
            padding_side="right",
        )
        return batch
