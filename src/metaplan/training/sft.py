"""Supervised fine-tuning: planners on plans (paper, section 3.1), agents on experts' episodes."""

from __future__ import annotations

from pathlib import Path

from metaplan.training.job import TrainingJob
from metaplan.training.result import OnLog, TrainingResult
from metaplan.training.settings import SftSettings
from metaplan.training.train import train

__all__ = ["train_sft"]


def train_sft(
    base: Path | str,
    dataset: Path,
    out: Path,
    settings: SftSettings,
    *,
    on_log: OnLog | None = None,
    accelerate: str | None = None,
) -> TrainingResult:
    """Fine-tunes a causal language model; the loss is on the assistant's answers alone.

    A planner learns from prompts and completions. An agent learns from whole conversations
    (AgentTuning, Zeng et al., 2023): one pass over an episode trains all its turns, whatever the
    model's chat template; see `metaplan.training.tokens.tokenise` for templates that rewrite turns.

    Training happens in ``<out>.partial``, which a killed run leaves behind and the next call with
    equal arguments resumes from the last checkpoint (there is one each tenth of the
    updates) and ends as if it had never been killed; only a whole model gets the name `out`.
    A finished training is not repeated: its result is read back.

    Args:
        base: A model directory, or a name on the Hugging Face Hub.
        dataset: JSONL; see `metaplan.training.datasets.read_examples`.
        out: Where model (safetensors, LoRA merged), tokenizer and ``training.json`` go.
        settings: Paper defaults.
        on_log: Called after every update with its entry of the curve, and ``total_steps``.
        accelerate: Trains in processes of its own, which ``accelerate launch`` starts: name of a
            built-in configuration (`metaplan.training.built_in_accelerate`), or path of a file.
            None trains in this process.

    Returns:
        The record that ``training.json`` holds.

    Raises:
        DataError: Bad dataset or base model, or `out` holds something else.
        ConfigError: The batch can't be divided as asked.
        MissingDependencyError: The ``train`` extra is not installed.
        TrainingProcessError: With `accelerate`: a process broke or was killed.
    """
    job = TrainingJob(base=str(base), dataset=dataset, out=out, settings=settings)
    return train(job, on_log=on_log, accelerate=accelerate)
