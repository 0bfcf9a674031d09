"""Supervised fine-tuning on prompts and completions (paper, section 3.1)."""

from __future__ import annotations

from pathlib import Path

from metaplan.training.datasets import SFT_FIELDS, read_examples
from metaplan.training.fit import OnLog, fit
from metaplan.training.result import TrainingResult
from metaplan.training.settings import SftSettings

__all__ = ["train_sft"]


def train_sft(
    base: Path | str,
    dataset: Path,
    out: Path,
    settings: SftSettings,
    *,
    on_log: OnLog | None = None,
) -> TrainingResult:
    """Fine-tunes a causal language model; the loss is on the completions alone.

    Training happens in ``<out>.partial``, which a killed run leaves behind and the next call with
    equal arguments resumes from the last finished epoch; only a whole model gets the name `out`.
    A finished training is not repeated: its result is read back.

    Args:
        base: A model directory, or a name on the Hugging Face Hub.
        dataset: JSONL; see `metaplan.training.datasets.read_examples`.
        out: Where model (safetensors, LoRA merged), tokenizer and ``training.json`` go.
        settings: Paper defaults.
        on_log: Called after every update with its entry of the curve, and ``total_steps``.

    Returns:
        The record that ``training.json`` holds.

    Raises:
        DataError: Bad dataset or base model, or `out` holds something else.
        ConfigError: The batch can't be divided as asked.
        MissingDependencyError: The ``train`` extra is not installed.
    """
    examples = read_examples(dataset, SFT_FIELDS)
    return fit("sft", base=base, examples=examples, out=out, settings=settings, on_log=on_log)
