"""A training as it is asked for: in this process, or as a file for others."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from metaplan.core import Record, digest
from metaplan.training.datasets import DPO_FIELDS, SFT_FIELDS, Example, read_examples
from metaplan.training.publish import file_digest
from metaplan.training.settings import OPERATIONAL_FIELDS, DpoSettings, SftSettings

__all__ = ["TrainingJob"]


class TrainingJob(Record):
    """One training; as JSON, what ``python -m metaplan.training`` reads.

    Attributes:
        base: A model directory, or a name on the Hugging Face Hub.
        dataset: JSONL; see `metaplan.training.datasets.read_examples`.
        out: Where the model goes.
        settings: Of SFT, or of DPO where they name ``beta``.
    """

    base: str
    dataset: Path
    out: Path
    settings: SftSettings | DpoSettings

    @property
    def method(self) -> Literal["sft", "dpo"]:
        """Which training the settings are for."""
        return "dpo" if isinstance(self.settings, DpoSettings) else "sft"

    def examples(self) -> list[Example]:
        """The dataset, checked.

        Raises:
            DataError: See `metaplan.training.datasets.read_examples`.
        """
        return read_examples(self.dataset, DPO_FIELDS if self.method == "dpo" else SFT_FIELDS)

    def request(self, examples: Sequence[Example]) -> str:
        """Hash of all that shapes the model: base, examples, settings."""
        identity = file_digest(Path(self.base)) if Path(self.base).is_dir() else self.base
        shaping = self.settings.model_dump(mode="json", exclude=set(OPERATIONAL_FIELDS))
        return digest(self.method, identity, list(examples), shaping)
