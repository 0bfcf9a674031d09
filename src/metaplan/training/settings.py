"""What a training run can be told, as frozen records for YAML and JSON.

Defaults are the paper's (section 4.1: full parameters, batch 32, learning rate 1e-5, cosine, 3
epochs; DPO with beta 0.1 and 3% warm-up) where it gives a value.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from metaplan.core import ConfigError, Record

__all__ = [
    "OPERATIONAL_FIELDS",
    "DpoSettings",
    "LoraSettings",
    "ScratchSettings",
    "SftSettings",
    "TrainingSettings",
]

OPERATIONAL_FIELDS = ("per_device_batch_size", "gradient_checkpointing", "report_to")
"""How a training is carried out: the same model but for rounding."""


class LoraSettings(Record):
    """Low-rank adapters in place of full parameters; merged into the saved model.

    Attributes:
        r: Rank of the update.
        alpha: The update is scaled by ``alpha / r``.
        dropout: On the adapters' input, while training.
        target_modules: Names of linear layers, or ``all-linear`` for all but the output layer.
    """

    r: int = Field(default=16, ge=1)
    alpha: int = Field(default=32, ge=1)
    dropout: float = Field(default=0.0, ge=0.0, lt=1.0)
    target_modules: tuple[str, ...] | Literal["all-linear"] = "all-linear"


class TrainingSettings(Record):
    """What SFT and DPO share.

    Attributes:
        epochs: Passes over the dataset.
        batch_size: Examples per optimizer update, over all devices and accumulation steps.
        per_device_batch_size: Examples (in DPO: pairs) per device and forward pass: the largest
            that fits the memory. `accumulation_steps` makes up the rest.
        learning_rate: Peak of the schedule.
        optimizer: ``muon`` is Muon for matrices and AdamW for the rest: for a model of random
            weights, on one device.
        scheduler: Shape of the decay after warm-up; all but ``constant`` end at 0.
        warmup_ratio: Share of all updates in which the rate rises from 0.
        weight_decay: Of the optimizer.
        max_length: Most tokens of prompt and completion; longer examples lose their end and are
            counted. The model's own context is a limit too.
        seed: Of data order, adapters and dropout.
        precision: ``bf16`` is mixed precision over float32 weights; ``auto`` is ``bf16`` on a GPU
            and ``fp32`` on a CPU.
        gradient_checkpointing: Saves memory for a third more time; None is on with a GPU, off on
            a CPU.
        lora: None trains all parameters, as the paper does.
        report_to: Experiment trackers that get the curve as well.
    """

    epochs: float = Field(default=3.0, gt=0.0)
    batch_size: int = Field(default=32, ge=1)
    per_device_batch_size: int = Field(default=4, ge=1)
    learning_rate: float = Field(default=1e-5, gt=0.0)
    optimizer: Literal["adamw", "muon"] = "adamw"
    scheduler: Literal["cosine", "linear", "constant"] = "cosine"
    warmup_ratio: float = Field(default=0.0, ge=0.0, lt=1.0)
    weight_decay: float = Field(default=0.0, ge=0.0)
    max_length: int = Field(default=2048, ge=2)
    seed: int = Field(default=0, ge=0)
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    gradient_checkpointing: bool | None = None
    lora: LoraSettings | None = None
    report_to: tuple[Literal["tensorboard", "wandb", "trackio"], ...] = ()

    def accumulation_steps(self, devices: int) -> int:
        """Forward passes per update, so that an update sees exactly `batch_size` examples.

        Args:
            devices: Number of training processes (``WORLD_SIZE``).

        Raises:
            ConfigError: `batch_size` is no multiple of what one pass over all devices holds.
        """
        at_once = self.per_device_batch_size * devices
        if self.batch_size % at_once:
            raise ConfigError(
                f"batch_size is {self.batch_size}, which is no multiple of per_device_batch_size "
                f"{self.per_device_batch_size} x {devices} device(s) = {at_once}; "
                "choose a per_device_batch_size that divides it"
            )
        return self.batch_size // at_once


class SftSettings(TrainingSettings):
    """Supervised fine-tuning (paper, sections 3.1 and 4.1).

    Attributes:
        batching: ``by_length`` puts examples of like length into the same forward pass, which
            saves padding where they differ as much as episodes do. Each update still sees
            `batch_size` random examples, in passes of `per_device_batch_size` on average.
    """

    batching: Literal["random", "by_length"] = "random"


class DpoSettings(TrainingSettings):
    """Direct preference optimization (paper, equation 8 and section 4.1).

    Attributes:
        beta: How strongly the reference model holds the policy back.
        sft_weight: Of the chosen side's mean log-likelihood per token beside the preference loss
            (RPO, Pang et al., 2024). The paper has none; small models need it, or they make plans
            unlikely that were chosen, and write what was never among the pairs.
    """

    warmup_ratio: float = Field(default=0.03, ge=0.0, lt=1.0)
    beta: float = Field(default=0.1, gt=0.0)
    sft_weight: float = Field(default=0.0, ge=0.0)


class ScratchSettings(Record):
    """A Llama-architecture model of random weights, small enough for a laptop.

    The defaults, half a million parameters, learn to write plans fastest: with 3 or 4 layers,
    copying a task's words into the plan takes about twice the examples.

    Attributes:
        hidden_size: Width; a multiple of `heads`.
        layers: Number of transformer blocks.
        heads: Attention heads, each with its own keys and values.
        intermediate_size: Width of the feed-forward layers.
        context: Most tokens of prompt and completion.
        vocabulary_size: At most so many words, the most frequent first; the rest is ``<unk>``.
        pieces: What beside words is one token. ``things``: a numbered thing with its article
            (", a shelf 2"), for a planner, which names places and never one of several.
            ``phrases``: a numbered thing without its article (" shelf 2"), and what is said again
            and again between the things (". On the", ". I look at"), for an agent, which copies
            things into its actions: an episode then takes a third of the tokens.
        seed: Of the weights.
    """

    hidden_size: int = Field(default=128, ge=8)
    layers: int = Field(default=2, ge=1)
    heads: int = Field(default=4, ge=1)
    intermediate_size: int = Field(default=384, ge=8)
    context: int = Field(default=1024, ge=16)
    vocabulary_size: int = Field(default=4096, ge=32)
    pieces: Literal["things", "phrases"] = "things"
    seed: int = Field(default=0, ge=0)
