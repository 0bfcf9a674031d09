"""What work on tokens takes: hours, by a model's size and an assumed GPU; money, by its prices.

Hours are good for planning, to a factor of two: is it an hour, a day or a week.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

from metaplan.models import Usage
from metaplan.models.served.settings import Prices, ServedSettings, is_private
from metaplan.recipes import RunConfig
from metaplan.training import DpoSettings, ScratchSettings, SftSettings

__all__ = [
    "ASSUMPTIONS",
    "NOTHING",
    "Effort",
    "Sized",
    "Tokens",
    "dollars",
    "role_prices",
    "scratch_parameters",
]

# The paper's GPU (section 4.1): A100 of 80 GB, from its data sheet.
_GPU_FLOPS = 312e12
_GPU_BYTES_PER_S = 2.0e12
# What is reached of that: our assumptions, of the order that is commonly reported.
_TRAINING_SHARE = 0.4
_PREFILL_SHARE = 0.5
_DECODING_SHARE = 0.3  # of the bandwidth; the rest goes to reading caches and to waiting
_DECODED_TOGETHER = 64
_BYTES_PER_WEIGHT = 2
# Models of less than so many parameters are for a CPU; two cores train them at this rate.
_CPU_MODEL = 1e8
_CPU_FLOPS = 60e9

ASSUMPTIONS = (
    f"GPU hours are those of an A100 80GB, used to {_TRAINING_SHARE:.0%} of "
    f"{_GPU_FLOPS / 1e12:.0f} bf16 TFLOP/s in training and to {_PREFILL_SHARE:.0%} in prefill, and "
    f"to {_DECODING_SHARE:.0%} of {_GPU_BYTES_PER_S / 1e12:.0f} TB/s in decoding "
    f"{_DECODED_TOGETHER} replies at a time. An H100 takes about half."
)

_SIZE_IN_NAME = re.compile(r"(?<![\w.])(\d+(?:\.\d+)?)([bm])(?![a-z0-9])", re.IGNORECASE)
_BYTES = {"float32": 4, "float16": 2, "bfloat16": 2}


@dataclass(frozen=True, kw_only=True)
class Tokens:
    """Tokens of some work.

    Attributes:
        prompt: Sent, over all turns.
        cached: Of these, what a prefix cache has: computed once, not again.
        completion: Generated.
    """

    prompt: float = 0.0
    cached: float = 0.0
    completion: float = 0.0

    def __add__(self, other: Tokens) -> Tokens:
        """The sum, field by field."""
        return Tokens(
            prompt=self.prompt + other.prompt,
            cached=self.cached + other.cached,
            completion=self.completion + other.completion,
        )


@dataclass(frozen=True, kw_only=True)
class Effort:
    """What a stage takes beside environments.

    Attributes:
        tokens: Of models on one's own machines.
        api: Of models behind a public API, which somebody else computes and bills.
        gpu_h: None where a model's size is unknown.
        cpu_h: Of models that are small enough for it.
        trained: Tokens that trainings read.
    """

    tokens: Tokens = Tokens()
    api: Tokens = Tokens()
    gpu_h: float | None = 0.0
    cpu_h: float = 0.0
    trained: float = 0.0

    def __add__(self, other: Effort) -> Effort:
        """The sum, field by field."""
        unknown = self.gpu_h is None or other.gpu_h is None
        return Effort(
            tokens=self.tokens + other.tokens,
            api=self.api + other.api,
            gpu_h=None if unknown else (self.gpu_h or 0.0) + (other.gpu_h or 0.0),
            cpu_h=self.cpu_h + other.cpu_h,
            trained=self.trained + other.trained,
        )


NOTHING = Effort()


@dataclass(frozen=True)
class Sized:
    """A model, as far as its costs go.

    Attributes:
        parameters: None where unknown.
        api: Whether somebody else computes it.
    """

    parameters: float | None
    api: bool = False

    @classmethod
    def served(cls, settings: ServedSettings) -> Sized:
        """A model behind endpoints: a private host is one's own GPU."""
        public = not all(map(is_private, settings.urls))
        return cls(_in_name(settings.model), api=public)

    @classmethod
    def at(cls, model: str) -> Sized:
        """A model directory, by its files, or a name such as ``Llama-3.1-8B``."""
        path = Path(model)
        return cls(_in_files(path) if path.is_dir() else _in_name(model))

    def use(self, tokens: Tokens) -> Effort:
        """Answering prompts: prefill of what no cache has, and decoding."""
        if self.api:
            return Effort(api=tokens)
        computed = tokens.prompt - tokens.cached
        if self.parameters is None:
            return Effort(tokens=tokens, gpu_h=None)
        if self.parameters < _CPU_MODEL:
            flops = 2 * self.parameters * (computed + tokens.completion)
            return Effort(tokens=tokens, cpu_h=flops / _CPU_FLOPS / 3600)
        prefill_s = 2 * self.parameters * computed / (_GPU_FLOPS * _PREFILL_SHARE)
        weights = self.parameters * _BYTES_PER_WEIGHT
        together = _DECODED_TOGETHER * _GPU_BYTES_PER_S * _DECODING_SHARE
        decoding_s = tokens.completion * weights / together
        return Effort(tokens=tokens, gpu_h=(prefill_s + decoding_s) / 3600)

    def train(self, settings: SftSettings | DpoSettings, examples: float, tokens: float) -> Effort:
        """A training: 2 operations per weight and token forward, 4 backward, 2 to compute again.

        Low-rank adapters save the half of backward that is for the weights' own gradients. DPO
        reads two texts per pair, and once more both for the reference model.

        Args:
            settings: Of the training.
            examples: Lines of the dataset.
            tokens: Of prompt and completion of one of them.
        """
        dpo = isinstance(settings, DpoSettings)
        once = examples * min(tokens, settings.max_length) * (2 if dpo else 1)
        read = once * settings.epochs
        if self.parameters is None:
            return Effort(trained=read, gpu_h=None)
        on_gpu = self.parameters >= _CPU_MODEL
        again = (
            on_gpu if settings.gradient_checkpointing is None else settings.gradient_checkpointing
        )
        per_token = (4 if settings.lora else 6) + (2 if again else 0)
        flops = self.parameters * (per_token * read + (2 * once if dpo else 0))
        if on_gpu:
            return Effort(trained=read, gpu_h=flops / (_GPU_FLOPS * _TRAINING_SHARE) / 3600)
        return Effort(trained=read, cpu_h=flops / _CPU_FLOPS / 3600)

    def files_b(self, settings: SftSettings | DpoSettings) -> tuple[float, float]:
        """Bytes of the finished model, and of checkpoints while it is trained.

        A checkpoint has weights and AdamW's two averages in float32; the old one is deleted when
        the new one is whole. With adapters it has those alone, which is little.
        """
        parameters = self.parameters or 0.0
        return parameters * _BYTES_PER_WEIGHT, 0.0 if settings.lora else 2 * 12 * parameters


def role_prices(config: RunConfig) -> dict[str, Prices]:
    """Prices of a run's models by role, as in `RunStatus.tokens`; only those that are known."""
    summariser, prompted = config.collect.summariser, config.prompted
    served = {
        "agent": config.agent.served,
        "agent, void attempts": config.agent.served,
        "prompted planner": prompted.served if prompted else None,
        "summariser": summariser.served if summariser else None,
    }
    return {role: model.prices for role, model in served.items() if model and model.prices}


def dollars(usage: Usage, prices: Prices) -> float:
    """What tokens cost at most: discounts for cached prompts are not known."""
    prompt = usage.prompt_tokens * prices.prompt
    return (prompt + usage.completion_tokens * prices.completion) / 1e6


def scratch_parameters(settings: ScratchSettings) -> float:
    """Parameters of a small Llama with tied embeddings."""
    width = settings.hidden_size
    block = 4 * width**2 + 3 * width * settings.intermediate_size + 2 * width
    return settings.vocabulary_size * width + settings.layers * block + width


def _in_name(model: str) -> float | None:
    """Parameters as a name tells them; None where it does not, or tells of several experts."""
    found = _SIZE_IN_NAME.search(model.rpartition("/")[2])
    return float(found[1]) * {"b": 1e9, "m": 1e6}[found[2].lower()] if found else None


def _in_files(path: Path) -> float | None:
    """Parameters by the size of the weights' files."""
    size = sum(file.stat().st_size for file in path.glob("*.safetensors"))
    try:
        config = json.loads((path / "config.json").read_text("utf-8"))
        return size / _BYTES[config.get("dtype") or config["torch_dtype"]] or None
    except (OSError, ValueError, LookupError, AttributeError):
        return None
