"""One training, from request to published model: what SFT and DPO share.

A thin layer over TRL. It adds what a pipeline needs: a training that survives ``kill -9``, never
shows half a model, reports truncation, and keeps its curve.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from metaplan.core import ConfigError, DataError, MissingDependencyError
from metaplan.training.datasets import Example
from metaplan.training.job import TrainingJob
from metaplan.training.publish import Workplace
from metaplan.training.quiet import quiet
from metaplan.training.result import OnLog, TrainingResult
from metaplan.training.settings import DpoSettings, LoraSettings, SftSettings, TrainingSettings
from metaplan.training.tokens import tokenise

__all__ = ["fit"]

_log = logging.getLogger(__name__)
_TINY_PARAMETERS = 2_000_000
_PACKAGES = ("metaplan", "torch", "transformers", "trl", "peft", "accelerate", "tokenizers")


def fit(
    job: TrainingJob, examples: Sequence[Example], place: Workplace, on_log: OnLog | None
) -> TrainingResult:
    """Trains, or goes on with a training that was interrupted, and publishes the model.

    Of several processes each calls this with equal arguments; the first one writes.
    """
    started = time.monotonic()
    _require_extra()
    import torch
    from accelerate import PartialState  # type: ignore[import-untyped]
    from transformers import set_seed

    settings = job.settings
    _check_devices(settings)
    processes = PartialState(cpu=not torch.accelerator.is_available())
    with quiet():
        config, tokenizer = _load_config(job.base)
        limit = min(settings.max_length, config.get_text_config().max_position_embeddings)
        with processes.main_process_first():
            place.open(_devices(processes.num_processes))
            dataset, truncated = tokenise(examples, tokenizer, limit, place.dataset)
        set_seed(settings.seed)
        # Before the model: under ZeRO-3 they have it loaded in shards.
        arguments = _arguments(settings, limit, processes.num_processes, place.checkpoints)
        model = _load_model(job.base, settings)
        trainer = _trainer(model, tokenizer, dataset, arguments, settings)
        _prepare_callbacks(trainer, on_log, started)
        with _threads_for(model):
            trainer.train(resume_from_checkpoint=place.last_checkpoint())
        _save_model(trainer, tokenizer, place.model, config.dtype or torch.float32)
    curve = tuple(entry for entry in trainer.state.log_history if "loss" in entry)
    result = TrainingResult(
        method=job.method,
        model=job.out,
        base=job.base,
        request=place.request,
        settings=settings,
        examples=len(examples),
        truncated=truncated,
        length_limit=limit,
        steps=trainer.state.global_step,
        curve=curve,
        duration_s=curve[-1]["seconds"],
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


def _check_devices(settings: TrainingSettings) -> None:
    """Makes sure that a configuration of ``accelerate launch`` fits the machine and the settings.

    Raises:
        ConfigError: It is for more GPUs than there are, or shards what can't be.
    """
    import torch

    wanted = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    there = torch.accelerator.device_count()
    if os.environ.get("ACCELERATE_USE_CPU") in {"False", "false"} and there < wanted:
        raise ConfigError(
            f"the configuration of accelerate is for {wanted} GPU(s) and this machine has {there}: "
            f"name another one, or give a file of your own (runtime.accelerate)"
        )
    if settings.lora and (shards := _shards()):
        raise ConfigError(
            f"lora can't be merged into sharded weights ({shards[0]}): name another configuration "
            f"of accelerate, such as 1-gpu or 8-gpu-ddp (runtime.accelerate)"
        )


def _shards() -> list[str]:
    """Who shards the weights, as ``accelerate launch`` tells its processes."""
    kinds = ("FSDP", "DeepSpeed")
    variables = {kind: f"ACCELERATE_USE_{kind.upper()}" for kind in kinds}
    return [kind for kind in kinds if os.environ.get(variables[kind], "").lower() == "true"]


def _devices(processes: int) -> str:
    """How the work is spread over devices, in words."""
    return " ".join([f"{processes} processes", *_shards()])


def _load_config(base: str) -> tuple[Any, Any]:
    """A model's configuration and tokenizer."""
    from transformers import AutoConfig, AutoTokenizer

    with _loading(base):
        config, tokenizer = AutoConfig.from_pretrained(base), AutoTokenizer.from_pretrained(base)
    if tokenizer.chat_template is None:
        raise DataError(f"{base}: the tokenizer has no chat template, so it can't read messages")
    if not tokenizer.is_fast:
        raise DataError(f"{base}: the tokenizer can't tell where its tokens stand in a text")
    return config, tokenizer


def _load_model(base: str, settings: TrainingSettings) -> Any:
    """The weights. Those that are trained are float32: updates at 1e-5 vanish in bfloat16."""
    import torch
    from transformers import AutoModelForCausalLM

    frozen_bf16 = settings.lora is not None and _is_bf16(settings)
    dtype = torch.bfloat16 if frozen_bf16 else torch.float32
    with _loading(base):
        return AutoModelForCausalLM.from_pretrained(base, dtype=dtype, use_safetensors=True)


@contextmanager
def _loading(base: str) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:
        raise DataError(f"{base}: can't be loaded as a causal language model: {error}") from error


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


def _arguments(settings: SftSettings | DpoSettings, limit: int, devices: int, output: Path) -> Any:
    """TRL's arguments."""
    import torch
    from trl import DPOConfig, SFTConfig

    has_accelerator = torch.accelerator.is_available()
    checkpointing = settings.gradient_checkpointing
    shared = {
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
        "save_strategy": "steps",
        "save_steps": 0.1,  # of all: an agent learns in one long epoch
        "save_total_limit": 1,
        "remove_unused_columns": False,
        "disable_tqdm": True,
    }
    if isinstance(settings, DpoSettings):
        losses = {"sigmoid": 1.0, "sft": settings.sft_weight}
        used = {name: weight for name, weight in losses.items() if weight > 0}
        return DPOConfig(
            **shared,
            beta=settings.beta,
            loss_type=list(used),
            loss_weights=list(used.values()),
            precompute_ref_log_probs=True,
        )
    if settings.batching == "by_length":
        shared["train_sampling_strategy"] = "batch_rebalance"
    return SFTConfig(**shared, packing=False, dataset_kwargs={"skip_prepare_dataset": True})


def _trainer(
    model: Any, tokenizer: Any, dataset: Any, arguments: Any, settings: SftSettings | DpoSettings
) -> Any:
    shared = {
        "args": arguments,
        "model": model,
        "optimizers": (_optimizer(model, settings), None),
        "processing_class": tokenizer,
        "train_dataset": dataset,
        "peft_config": _peft_config(settings.lora),
    }
    if isinstance(settings, DpoSettings):
        from metaplan.training.preferences import PreferenceCollator, PreferenceTrainer

        tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
        return PreferenceTrainer(**shared, data_collator=PreferenceCollator(tokenizer.pad_token_id))
    from trl import SFTTrainer

    if settings.batching == "by_length":  # its sampler has a seed of its own
        shared["train_dataset"] = dataset.shuffle(seed=settings.seed)
    return SFTTrainer(**shared)


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


def _prepare_callbacks(trainer: Any, on_log: OnLog | None, started: float) -> None:
    """Replaces printing by `on_log`; counts tokens and seconds of all parts of a training."""
    from transformers import PrinterCallback, TrainerCallback

    class Reporter(TrainerCallback):  # type: ignore[misc]
        def on_train_begin(self, _args: Any, state: Any, _control: Any, **_: Any) -> None:
            before = state.log_history[-1] if state.log_history else {}  # up to the checkpoint
            self.tokens, self.seconds = before.get("num_tokens", 0), before.get("seconds", 0)

        def on_log(self, _args: Any, state: Any, _control: Any, logs: Any, **_: Any) -> None:
            if "loss" not in logs:
                return
            entry = state.log_history[-1]
            entry["num_tokens"] += self.tokens  # TRL counts those of this process
            entry["seconds"] = round(self.seconds + time.monotonic() - started, 3)
            if on_log is not None and state.is_world_process_zero:
                on_log({"total_steps": state.max_steps, **entry})

    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(Reporter())


def _save_model(trainer: Any, tokenizer: Any, path: Path, dtype: Any) -> None:
    """Writes a whole model, as a server or the next training loads it, in the base's format."""
    model = trainer.accelerator.unwrap_model(trainer.model)
    # Servers sample greedily, whatever the request says, unless the model's own file says so.
    model.generation_config.do_sample = True
    if trainer.is_fsdp_enabled or trainer.is_deepspeed_enabled:
        # All processes send their shards; the first one gets the whole.
        sharded = trainer.deepspeed if trainer.is_deepspeed_enabled else trainer.model
        weights = trainer.accelerator.get_state_dict(sharded)
        if trainer.args.should_save:
            copies = model.all_tied_weights_keys
            whole = {name: weights[name].to(dtype) for name in weights if name not in copies}
            model.save_pretrained(path, state_dict=whole)
            model.config.dtype = dtype  # not that of the shards
            model.config.save_pretrained(path)
    elif trainer.args.should_save:
        merged = model.merge_and_unload() if hasattr(model, "merge_and_unload") else model
        merged.to(dtype).save_pretrained(path)
    if trainer.args.should_save:
        tokenizer.save_pretrained(path)
