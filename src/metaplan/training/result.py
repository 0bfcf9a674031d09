"""What a training run leaves behind beside the model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from metaplan.core import Record
from metaplan.training.settings import DpoSettings, SftSettings

__all__ = ["RESULT_FILE", "OnLog", "TrainingResult"]

RESULT_FILE = "training.json"
OnLog = Callable[[dict[str, float]], None]
"""Told of every update: its entry of the curve, and ``total_steps``."""


class TrainingResult(Record):
    """The record of a finished training, kept as ``training.json`` in the model's directory.

    Attributes:
        method: ``sft`` or ``dpo``.
        model: The directory it was written to.
        base: The model it started from.
        request: Hash of base, dataset and settings: equal requests are one training.
        examples: Lines of the dataset.
        truncated: Of these, the ones longer than the limit, which lost their end; in DPO a pair
            counts once.
        length_limit: In tokens: `max_length` or the model's context, whichever is less.
        steps: Optimizer updates.
        curve: One entry per update: ``step``, ``epoch``, ``loss``, ``learning_rate``,
            ``grad_norm``, ``num_tokens`` and ``seconds`` since the start; in DPO also
            ``rewards/margins``, ``rewards/accuracies``, ``logps/chosen``, ``logps/rejected`` …
        duration_s: Wall-clock seconds up to the last update; of an interrupted training without
            what was lost.
        versions: Of the packages that shape the numbers.
    """

    method: str
    model: Path
    base: str
    request: str
    settings: SftSettings | DpoSettings
    examples: int
    truncated: int
    length_limit: int
    steps: int
    curve: tuple[dict[str, float], ...]
    duration_s: float
    versions: dict[str, str]
