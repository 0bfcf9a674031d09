"""From a requested training to the published model: read back, done here, or done elsewhere."""

from __future__ import annotations

from metaplan.training.fit import fit
from metaplan.training.job import TrainingJob
from metaplan.training.launch import TrainingProcessError, launch
from metaplan.training.publish import Workplace
from metaplan.training.result import OnLog, TrainingResult

__all__ = ["train"]


def train(
    job: TrainingJob, *, on_log: OnLog | None = None, accelerate: str | None = None
) -> TrainingResult:
    """Does a training that is not done yet; see `metaplan.training.train_sft`."""
    examples = job.examples()
    place = Workplace(job.out, job.request(examples))
    if (finished := place.read_back()) is not None:
        return finished
    if accelerate is None:
        return fit(job, examples, place, on_log)
    launch(job, accelerate, on_log)
    if (result := place.read_back()) is None:
        raise TrainingProcessError(f"the training of {job.out} ended without a model")
    return result
