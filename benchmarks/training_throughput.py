"""How fast SFT and DPO train a model of Llama-3.1-8B's shape, beside what the device can multiply.

    python benchmarks/training_throughput.py [--tokens 2048] [--per-device 4] [--updates 6]

Random weights in bfloat16, LoRA (r 16 on all linear layers) with AdamW, whose state then fits one
GPU; gradient checkpointing; one process. Conversations of nearly `--tokens` tokens. The share of
peak counts the multiplications that the model needs (4 for each weight and token, as frozen weights
have no gradient; not the forward pass that checkpointing repeats) and compares them with a large
bfloat16 product, measured in the same run. Needs 40 GB of disk and of GPU memory.

Without a GPU it does the same with a model a thousand times smaller, which shows that the command
works and nothing more.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import torch
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

from metaplan.training import (
    DpoSettings,
    LoraSettings,
    ScratchSettings,
    SftSettings,
    create_scratch_model,
    train_dpo,
    train_sft,
)

LLAMA_8B: dict[str, Any] = {
    "vocab_size": 128_256,
    "hidden_size": 4096,
    "intermediate_size": 14_336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "rope_theta": 500_000.0,
    "max_position_embeddings": 8192,
}
SMALL: dict[str, Any] = {
    **LLAMA_8B,
    "vocab_size": 4096,
    "hidden_size": 256,
    "intermediate_size": 896,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 1,
}
PAIRS = 8  # to an update


class Enough(Exception):
    """All updates that are measured are done: the model itself is of no use."""


class Speed(NamedTuple):
    tokens_s: float
    memory_gib: float


def write_model(path: Path, shape: dict[str, Any], device: str) -> float:
    """A directory with random weights and a tokenizer of few words; the number of weights."""
    create_scratch_model([" a b c d"], path, ScratchSettings(hidden_size=8, heads=1, layers=1))
    tokenizer = AutoTokenizer.from_pretrained(path)
    tokenizer.model_max_length = shape["max_position_embeddings"]
    tokenizer.save_pretrained(path)
    config = LlamaConfig(**shape, dtype=torch.bfloat16, eos_token_id=tokenizer.eos_token_id)
    with torch.device(device):
        torch.set_default_dtype(torch.bfloat16)
        model = LlamaForCausalLM(config)
        torch.set_default_dtype(torch.float32)
    model.save_pretrained(path)
    return float(model.num_parameters())


def write_data(folder: Path, tokens: int) -> tuple[Path, Path]:
    """Conversations and pairs of half questions, half answers, in turns of 64 tokens."""

    def said(role: str, word: str) -> dict[str, str]:
        return {"role": role, "content": f" {word}" * 62}

    turns = tokens // 128
    prompt, word = [said("user", "a")], "b"
    replies = [said("assistant", word)] + [said("user", "c"), said("assistant", word)] * (turns - 1)
    other = [{**turn, "content": turn["content"].replace(" b", " d")} for turn in replies]
    sft, dpo = folder / "sft.jsonl", folder / "dpo.jsonl"
    sft.write_text(f"{json.dumps({'messages': prompt + replies})}\n" * 512)
    dpo.write_text(f"{json.dumps({'prompt': prompt, 'chosen': replies, 'rejected': other})}\n" * 64)
    return sft, dpo


def measure(
    train: Callable[..., Any], base: Path, data: Path, settings: Any, updates: int
) -> Speed:
    """Tokens a second from the end of the second update on, and the most memory."""
    times: list[tuple[float, float]] = []

    def on_log(entry: dict[str, float]) -> None:
        times.append((time.perf_counter(), entry["num_tokens"]))
        if len(times) == updates + 2:
            raise Enough

    if torch.cuda.is_available():
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    with tempfile.TemporaryDirectory() as out, suppress(Enough):
        train(base, data, Path(out) / "model", settings, on_log=on_log)
    (begun, before), (ended, after) = times[1], times[-1]
    memory = torch.cuda.max_memory_allocated() / 2**30 if torch.cuda.is_available() else 0.0
    return Speed((after - before) / (ended - begun), memory)


def peak_flops(device: str, size: int) -> float:
    """Operations a second of a product of two square bfloat16 matrices."""
    a, b = (torch.randn(size, size, device=device, dtype=torch.bfloat16) for _ in range(2))

    def wait() -> None:
        if device == "cuda":
            torch.cuda.synchronize()

    for times in (3, 10):  # the first warms up
        wait()
        begun = time.perf_counter()
        for _ in range(times):
            a @ b
        wait()
        seconds = (time.perf_counter() - begun) / times
    return 2 * size**3 / seconds


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--tokens", type=int, default=2048, help="of a conversation")
    parser.add_argument("--per-device", type=int, default=4, help="examples (pairs) a forward pass")
    parser.add_argument("--updates", type=int, default=6, help="that are measured")
    arguments = parser.parse_args()
    has_gpu = torch.cuda.is_available()
    device, shape = ("cuda", LLAMA_8B) if has_gpu else ("cpu", SMALL)
    tokens = arguments.tokens if has_gpu else 256
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        weights = write_model(folder / "base", shape, device)
        sft, dpo = write_data(folder, tokens)
        peak = peak_flops(device, 8192 if has_gpu else 1024)
        shared = {
            "epochs": 1,
            "batch_size": PAIRS,
            "per_device_batch_size": min(arguments.per_device, PAIRS),
            "learning_rate": 1e-5,
            "max_length": tokens,
            "precision": "bf16",
            "lora": LoraSettings(),
        }
        rows = {
            "SFT": measure(
                train_sft, folder / "base", sft, SftSettings(**shared), arguments.updates
            ),
            "DPO": measure(
                train_dpo, folder / "base", dpo, DpoSettings(**shared), arguments.updates
            ),
        }
    name = torch.cuda.get_device_name() if has_gpu else "CPU"
    print(
        f"{weights / 1e9:.3f}B weights, {tokens} tokens, {name}, product {peak / 1e12:.2f} TFLOP/s"
    )
    print("| training | tokens/s | GPU memory, GiB | share of the product's speed |")
    print("|---|---|---|---|")
    for training, speed in rows.items():
        share = 4 * weights * speed.tokens_s / peak
        print(f"| {training} | {speed.tokens_s:.0f} | {speed.memory_gib:.1f} | {share:.0%} |")
    if not has_gpu:
        print("No GPU here: a model a thousand times smaller. This is NOT the result asked for.")


if __name__ == "__main__":
    main()
