"""Direct preference optimization of planners (paper, section 3.3, equation 8) and agents."""

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

    A pair of a planner is two plans. A pair of an agent is two episodes of a task, of which only
    what the agent said is compared, not what it observed (ETO, Song et al., 2024).

    The reference's log-probabilities are computed once, before training. A growing
    ``rewards/margins`` with a falling ``logps/chosen`` is a warning: the model may be unlearning
    good plans along with bad ones.

    Args, resumption and errors are those of `metaplan.training.train_sft`; the dataset's fields
    are ``prompt``, ``chosen`` and ``rejected``. One error more: a model whose chat template
    rewrites earlier turns (`metaplan.training.tokens.tokenise`) can't learn from pairs of episodes.
    """
    job = TrainingJob(base=str(base), dataset=dataset, out=out, settings=settings)
    return train(job, on_log=on_log, accelerate=accelerate)
