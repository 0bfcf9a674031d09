"""Direct preference optimization on pairs of plans (paper, section 3.3, equation 8)."""

from __future__ import annotations

from pathlib import Path

from metaplan.training.datasets import DPO_FIELDS, read_examples
from metaplan.training.fit import OnLog, fit
from metaplan.training.result import TrainingResult
from metaplan.training.settings import DpoSettings

__all__ = ["train_dpo"]


def train_dpo(
    base: Path | str,
    dataset: Path,
    out: Path,
    settings: DpoSettings,
    *,
    on_log: OnLog | None = None,
) -> TrainingResult:
    """Optimizes a causal language model on preference pairs; the reference is `base` itself.

    The reference's log-probabilities are computed once, before training. A growing
    ``rewards/margins`` with a falling ``logps/chosen`` is a warning: the model may be unlearning
    good plans along with bad ones.

    Args, resumption and errors are those of `metaplan.training.train_sft`; the dataset's fields
    are ``prompt``, ``chosen`` and ``rejected``.
    """
    examples = read_examples(dataset, DPO_FIELDS)
    return fit("dpo", base=base, examples=examples, out=out, settings=settings, on_log=on_log)
