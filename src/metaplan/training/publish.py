"""The directory of one training while it is under way, and the moment it becomes a model.

``<out>.partial`` holds the request that is worked on, the last checkpoint, and in the end the
model, which gets the name ``<out>`` in one rename: there is never half a model under that name.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

from metaplan.core import DataError
from metaplan.training.result import RESULT_FILE, TrainingResult

__all__ = ["OtherTrainingError", "Workplace", "file_digest"]


class OtherTrainingError(DataError):
    """The directory holds a finished training of other data, base or settings."""


class Workplace:
    """Where one requested training happens.

    Args:
        out: The finished model's directory.
        request: Hash of all that shapes the training.

    Attributes:
        request: The same.
        dataset: Where the tokenised examples are kept for all processes.
        checkpoints: Of the training.
        model: Where the finished model is written.
    """

    def __init__(self, out: Path, request: str) -> None:
        self._out = out
        self.request = request
        self._partial = out.with_name(out.name + ".partial")
        self.dataset = self._partial / "tokens"
        self.checkpoints = self._partial / "checkpoints"
        self.model = self._partial / "model"

    def read_back(self) -> TrainingResult | None:
        """The result of this very request, if it is finished.

        Raises:
            OtherTrainingError: `out` holds another training, which is not overwritten.
            DataError: `out` holds something else.
        """
        if not self._out.exists():
            return None
        try:
            text = (self._out / RESULT_FILE).read_text(encoding="utf-8")
            found = TrainingResult.model_validate_json(text)
        except (OSError, ValueError) as error:
            raise DataError(
                f"{self._out}: exists and is no finished training; delete it or choose another "
                "directory"
            ) from error
        if found.request != self.request:
            raise OtherTrainingError(
                f"{self._out}: holds a training with other settings, data or base model; delete "
                "it or choose another directory"
            )
        shutil.rmtree(self._partial, ignore_errors=True)
        return found.model_copy(update={"model": self._out})

    def open(self, devices: str) -> None:
        """Keeps what an interrupted run of the same request left; clears anything else.

        Args:
            devices: How the work is spread: checkpoints of another kind can't be read.
        """
        marker = self._partial / "request"
        wanted = f"{self.request} {devices}"
        if not (marker.is_file() and marker.read_text(encoding="ascii") == wanted):
            shutil.rmtree(self._partial, ignore_errors=True)
            self.checkpoints.mkdir(parents=True)
            marker.write_text(wanted, encoding="ascii")
        shutil.rmtree(self.model, ignore_errors=True)

    def last_checkpoint(self) -> str | None:
        """The newest whole checkpoint; its state file is the last thing that is written."""
        whole = [path for path in self.checkpoints.glob("checkpoint-*") if _is_whole(path)]
        newest = max(whole, key=lambda path: int(path.name.rpartition("-")[2]), default=None)
        return str(newest) if newest else None

    def publish(self, result: TrainingResult) -> None:
        """Gives the finished model its name."""
        (self.model / RESULT_FILE).write_text(
            result.model_dump_json(indent=1) + "\n", encoding="utf-8"
        )
        if (tensorboard := self.checkpoints / "runs").is_dir():
            tensorboard.rename(self.model / "runs")
        self.model.rename(self._out)
        shutil.rmtree(self._partial)


def file_digest(model: Path) -> str:
    """Hash of a model directory's weights, configuration and tokenizer."""
    sums = hashlib.sha256()
    names = {"config.json", "tokenizer.json", "chat_template.jinja"}
    for path in sorted(model.iterdir()):
        if path.suffix == ".safetensors" or path.name in names:
            with path.open("rb") as stream:
                sums.update(hashlib.file_digest(stream, "sha256").digest())
    return sums.hexdigest()


def _is_whole(checkpoint: Path) -> bool:
    try:
        json.loads((checkpoint / "trainer_state.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return True
