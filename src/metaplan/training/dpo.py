"""Direct preference optimization on pairs of plans (paper, section 3.3, equation 8)."""

from __future__ import annotations

from pathlib import Path

from metaplan.training.job import TrainingJob
from metaplan.training.result import OnLog, TrainingResult
from metaplan.training.settings import DpoSettings
from metaplan.training.train import train

__all__ = ["train_dpo"]


def train_dpo(
    base: Path | str,
    dataset: Path,
    out: Path,
    settings: DpoSettings,
    *,
    on_log: OnLog | None = None,
    accelerate: str | None = None,
) -> TrainingResult:
    """Optimizes a causal language model on preference pairs; the reference is `base` itself.

    The reference's log-probabilities are computed once, before training. A growing
    ``rewards/margins`` with a falling ``logps/chosen`` is a warning: the model may be unlearning
    good plans along with bad ones.

    Args, resumption and errors are those of `metaplan.training.train_sft`; the dataset's fields
    are ``prompt``, ``chosen`` and ``rejected``.
    """
    job = TrainingJob(base=str(base), dataset=dataset, out=out, settings=settings)
    return train(job, on_log=on_log, accelerate=accelerate)
