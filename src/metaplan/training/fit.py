"""One training, from request to published model: what SFT and DPO share.

A thin layer over TRL. It adds what a pipeline needs: a training that survives ``kill -9``, never
shows half a model, reports truncation, and keeps its curve.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from metaplan.core import ConfigError, DataError, MissingDependencyError, digest
from metaplan.training.datasets import Example
from metaplan.training.publish import Workplace, file_digest
from metaplan.training.quiet import quiet
from metaplan.training.result import TrainingResult
from metaplan.training.settings import DpoSettings, LoraSettings, SftSettings, TrainingSettings

__all__ = ["OnLog", "fit"]

OnLog = Callable[[dict[str, float]], None]

_log = logging.getLogger(__name__)
_TINY_PARAMETERS = 2_000_000
_PACKAGES = ("metaplan", "torch", "transformers", "trl", "peft", "accelerate", "tokenizers")


def fit(
    method: Literal["sft", "dpo"],
    *,
    base: Path | str,
    examples: Sequence[Example],
    out: Path,
    settings: SftSettings | DpoSettings,
    on_log: OnLog | None,
) -> TrainingResult:
    """Trains, resumes, or reads back a finished training; see `metaplan.training.train_sft`."""
    identity = file_digest(Path(base)) if Path(base).is_dir() else str(base)
    request = digest(method, identity, list(examples), settings.model_dump(mode="json"))
    place = Workplace(out, request)
    if (finished := place.read_back()) is not None:
        return finished

    started = time.monotonic()
    _require_extra()
    import torch
    from accelerate import PartialState  # type: ignore[import-untyped]
    from transformers import set_seed

    processes = PartialState(cpu=not torch.accelerator.is_available())
    with processes.main_process_first():
        place.open()
    with quiet():
        set_seed(settings.seed)
        model, tokenizer, dtype = _load(base, settings)
        limit = min(settings.max_length, model.config.get_text_config().max_position_embeddings)
        truncated = _count_truncated(examples, tokenizer, limit)
        arguments = _arguments(settings, limit, processes.num_processes, place.checkpoints)
        trainer = _trainer(model, tokenizer, examples, arguments, settings)
        _prepare_callbacks(trainer, on_log)
        with _threads_for(model):
            trainer.train(resume_from_checkpoint=place.last_checkpoint())
        _save_model(trainer, tokenizer, place.model, dtype)
    result = TrainingResult(
        method=method,
        model=out,
        base=str(base),
        request=request,
        settings=settings,
        examples=len(examples),
        truncated=truncated,
        length_limit=limit,
        steps=trainer.state.global_step,
        curve=tuple(entry for entry in trainer.state.log_history if "loss" in entry),
        duration_s=round(time.monotonic() - started, 3),
        versions={package: version(package) for package in _PACKAGES},
    )
    if processes.is_main_process:
        place.publish(result)
    processes.wait_for_everyone()
    return result


def _require_extra() -> None:
    try:
        import peft  # noqa: F401
        import trl  # noqa: F401
    except ImportError as error:
        raise MissingDependencyError(error.name or "trl", "train") from error


def _load(base: Path | str, settings: TrainingSettings) -> tuple[Any, Any, Any]:
    """Model, tokenizer, and the number format of the weights' file.

    Weights that are trained are float32 whatever that is: updates at 1e-5 vanish in bfloat16.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    frozen_bf16 = settings.lora is not None and _is_bf16(settings)
    try:
        file_dtype = AutoConfig.from_pretrained(base).dtype or torch.float32
        tokenizer = AutoTokenizer.from_pretrained(base)
        model = AutoModelForCausalLM.from_pretrained(
            base, dtype=torch.bfloat16 if frozen_bf16 else torch.float32, use_safetensors=True
        )
    except (OSError, ValueError) as error:
        raise DataError(f"{base}: can't be loaded as a causal language model: {error}") from error
    if tokenizer.chat_template is None:
        raise DataError(f"{base}: the tokenizer has no chat template, so it can't read messages")
    return model, tokenizer, file_dtype


def _is_bf16(settings: TrainingSettings) -> bool:
    import torch

    on_gpu = torch.cuda.is_available() and torch.cuda.is_bf16_supported()
    return on_gpu if settings.precision == "auto" else settings.precision == "bf16"


@contextmanager
def _threads_for(model: Any) -> Iterator[None]:
    """One thread for a tiny model on a CPU.

    Its matrices are too small to share: threads mostly wait for each other, and where another
    program has one of the cores, two threads train three times slower than one.
    """
    import torch

    before = torch.get_num_threads()
    tiny = not torch.accelerator.is_available() and model.num_parameters() < _TINY_PARAMETERS
    torch.set_num_threads(1 if tiny else before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _count_truncated(examples: Sequence[Example], tokenizer: Any, limit: int) -> int:
    """Examples with more tokens than `limit`, warned about.

    Raises:
        DataError: Nothing would be left to learn from.
    """

    def length(messages: list[dict[str, str]], **options: bool) -> int:
        return len(tokenizer.apply_chat_template(messages, return_dict=False, **options))

    lengths = [
        max(length(example["prompt"] + example[field]) for field in example if field != "prompt")
        for example in examples
    ]
    truncated = sum(tokens > limit for tokens in lengths)
    if truncated == len(examples) and all(
        length(example["prompt"], add_generation_prompt=True) >= limit for example in examples
    ):
        raise DataError(
            f"every prompt fills the limit of {limit} tokens; raise max_length or choose a model "
            "with a longer context"
        )
    if truncated:
        _log.warning(
            "%d of %d examples are longer than %d tokens (the longest has %d) and lose their end",
            truncated,
            len(examples),
            limit,
            max(lengths),
        )
    return truncated


def _arguments(
    settings: TrainingSettings, limit: int, devices: int, output: Path
) -> dict[str, Any]:
    """TRL's arguments for what SFT and DPO share."""
    import torch

    has_accelerator = torch.accelerator.is_available()
    checkpointing = settings.gradient_checkpointing
    return {
        "output_dir": str(output),
        "num_train_epochs": settings.epochs,
        "per_device_train_batch_size": settings.per_device_batch_size,
        "gradient_accumulation_steps": settings.accumulation_steps(devices),
        "learning_rate": settings.learning_rate,
        "lr_scheduler_type": settings.scheduler,
        "warmup_steps": settings.warmup_ratio,  # below 1, it is a share of all updates
        "weight_decay": settings.weight_decay,
        "max_length": limit,
        "seed": settings.seed,
        "bf16": _is_bf16(settings),
        "use_cpu": not has_accelerator,
        "dataloader_pin_memory": has_accelerator,
        "gradient_checkpointing": has_accelerator if checkpointing is None else checkpointing,
        "report_to": list(settings.report_to) or "none",
        "logging_steps": 1,
        "save_strategy": "epoch",
        "save_total_limit": 1,
        "disable_tqdm": True,
    }


def _trainer(
    model: Any,
    tokenizer: Any,
    examples: Sequence[Example],
    arguments: dict[str, Any],
    settings: SftSettings | DpoSettings,
) -> Any:
    from datasets import Dataset
    from trl import DPOConfig, DPOTrainer, SFTConfig, SFTTrainer

    common = {
        "model": model,
        "optimizers": (_optimizer(model, settings), None),
        "processing_class": tokenizer,
        "train_dataset": Dataset.from_list(list(examples)),
        "peft_config": _peft_config(settings.lora),
    }
    if isinstance(settings, DpoSettings):
        dpo = DPOConfig(**arguments, beta=settings.beta, precompute_ref_log_probs=True)
        trainer = DPOTrainer(args=dpo, **common)
    else:
        sft = SFTConfig(**arguments, completion_only_loss=True, packing=False)
        trainer = SFTTrainer(args=sft, **common)
    if settings.lora and (trainer.is_fsdp_enabled or trainer.is_deepspeed_enabled):
        raise ConfigError(
            "lora can't be merged from sharded weights: use it without FSDP/DeepSpeed"
        )
    return trainer


def _optimizer(model: Any, settings: TrainingSettings) -> Any:
    """None for the trainer's own AdamW."""
    if settings.optimizer == "adamw":
        return None
    if settings.lora is not None:
        raise ConfigError("optimizer 'muon' trains full parameters: use 'adamw' with lora")
    from metaplan.training.muon import MuonAndAdamW

    return MuonAndAdamW(
        model, learning_rate=settings.learning_rate, weight_decay=settings.weight_decay
    )


def _peft_config(lora: LoraSettings | None) -> Any:
    if lora is None:
        return None
    from peft import LoraConfig

    modules = lora.target_modules
    return LoraConfig(
        r=lora.r,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=modules if isinstance(modules, str) else list(modules),
        task_type="CAUSAL_LM",
    )


def _prepare_callbacks(trainer: Any, on_log: OnLog | None) -> None:
    """Replaces printing by `on_log`."""
    from transformers import PrinterCallback, TrainerCallback

    class Reporter(TrainerCallback):  # type: ignore[misc]
        def on_log(self, _args: Any, state: Any, _control: Any, logs: Any, **_: Any) -> None:
            if on_log is not None and state.is_world_process_zero and "loss" in logs:
                on_log({"step": state.global_step, "total_steps": state.max_steps, **logs})

    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(Reporter())


def _save_model(trainer: Any, tokenizer: Any, path: Path, dtype: Any) -> None:
    """Writes a whole model, as a server or the next training loads it, in the base's format."""
    model = trainer.accelerator.unwrap_model(trainer.model)
    if trainer.args.should_save:
        tokenizer.save_pretrained(path)
    # Servers sample greedily, whatever the request says, unless the model's own file says so.
    model.generation_config.do_sample = True
    if trainer.is_fsdp_enabled or trainer.is_deepspeed_enabled:
        trainer.save_model(str(path))
    elif trainer.args.should_save:
        merged = model.merge_and_unload() if hasattr(model, "merge_and_unload") else model
        merged.to(dtype).save_pretrained(path)
