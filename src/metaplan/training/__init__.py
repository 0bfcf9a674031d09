"""SFT and DPO of planners and agents: a thin layer over TRL.

Knows datasets (JSONL) and model directories only, and can be used alone. Importing this package
imports neither torch nor TRL; calling its functions does.
"""

from metaplan.training.dpo import train_dpo
from metaplan.training.launch import TrainingProcessError, accelerate_file, built_in_accelerate
from metaplan.training.publish import OtherTrainingError
from metaplan.training.result import TrainingResult
from metaplan.training.scratch import create_scratch_model
from metaplan.training.settings import (
    DpoSettings,
    LoraSettings,
    ScratchSettings,
    SftSettings,
    TrainingSettings,
)
from metaplan.training.sft import train_sft

__all__ = [
    "DpoSettings",
    "LoraSettings",
    "OtherTrainingError",
    "ScratchSettings",
    "SftSettings",
    "TrainingProcessError",
    "TrainingResult",
    "TrainingSettings",
    "accelerate_file",
    "built_in_accelerate",
    "create_scratch_model",
    "train_dpo",
    "train_sft",
]
