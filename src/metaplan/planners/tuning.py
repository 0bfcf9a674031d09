"""Trained planners: a model directory with the prompt that it was trained with."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

from metaplan.core import digest
from metaplan.planners.datasets import read_jsonl
from metaplan.planners.planner import PlannerPrompt
from metaplan.training import (
    DpoSettings,
    OtherTrainingError,
    ScratchSettings,
    SftSettings,
    TrainingResult,
    create_scratch_model,
    train_dpo,
    train_sft,
)

__all__ = ["new_planner_base", "tune_planner"]


def new_planner_base(dataset: Path, out: Path, settings: ScratchSettings) -> Path:
    """A small model of random weights whose vocabulary is that of a training set.

    Args:
        dataset: The SFT dataset; nothing else shapes the vocabulary.
        out: Where the model goes; made anew when dataset or settings differ from what it holds.
        settings: Size and seed.
    """
    request = {"dataset": digest(dataset.read_text("utf-8")), **settings.model_dump(mode="json")}
    stamp = out / "scratch.json"
    if stamp.exists() and stamp.read_text("utf-8") == json.dumps(request):
        return out
    shutil.rmtree(out, ignore_errors=True)
    create_scratch_model(_texts(dataset), out, settings)
    stamp.write_text(json.dumps(request), "utf-8")
    return out


def tune_planner(
    base: Path | str,
    dataset: Path,
    out: Path,
    settings: SftSettings | DpoSettings,
    *,
    prompt: PlannerPrompt,
    on_log: Callable[[dict[str, float]], None] | None = None,
    accelerate: str | None = None,
) -> TrainingResult:
    """Trains a planner by SFT or DPO, whichever the settings are for.

    A planner that was trained on something else (a run that has grown) is trained anew; a finished
    equal training is read back; an interrupted one goes on.

    Args:
        base: Model to start from.
        dataset: JSONL in TRL's format.
        out: Directory of the planner.
        settings: Of the training.
        prompt: Saved with the weights.
        on_log: See `metaplan.training.train_sft`.
        accelerate: Likewise.
    """

    def train() -> TrainingResult:
        if isinstance(settings, DpoSettings):
            return train_dpo(base, dataset, out, settings, on_log=on_log, accelerate=accelerate)
        return train_sft(base, dataset, out, settings, on_log=on_log, accelerate=accelerate)

    try:
        result = train()
    except OtherTrainingError:
        shutil.rmtree(out)
        result = train()
    prompt.save(out)
    return result


def _texts(dataset: Path) -> Iterable[str]:
    for _, record in read_jsonl(dataset):
        for message in (*record["prompt"], *record["completion"]):
            yield message["content"]
