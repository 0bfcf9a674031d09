"""The local engine beside other ways to generate with a small model: episodes on growing prompts.

    python benchmarks/local_engine.py [--width 128] [--episodes 40] [--ways WAY ...]
                                      [--vllm PYTHON]

Episodes of household games as other people played them are read by an untrained model of 4 layers,
128 wide (0.9M parameters) or 224 wide (2.7M): at every turn it says 20 tokens, after which the
recorded reply and observation follow. Five episodes share a task and its plan. Every way runs in a
process of its own with one thread, at temperature 0.

A turn's price is its CPU time, which other processes on the machine change little; turns per second
are those of one core that has nothing else to do. `same` is the share of turns with the text of the
first way. PYTHON is the interpreter of an environment with vLLM's CPU build.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from local_engine_servers import cpu_s_of, peak_mib, served

from metaplan.agents import PromptProfile, insert_plan
from metaplan.agents.prompting import first_message
from metaplan.environments import get_benchmark
from metaplan.models import LocalModel, Message, Sampling, ServedModel, ServedSettings
from metaplan.training import ScratchSettings, create_scratch_model

EPISODES_PER_PLAN = 5
MOST_TURNS = 15
REPLY_TOKENS = 20
CONTEXT = 1024
Chats = list[list[Message]]


def conversations(episodes: int) -> Chats:
    """Recorded episodes as the agent reads them, each to its last observation."""
    benchmark = get_benchmark("household")
    demonstrate, summarise = benchmark.demonstrate, benchmark.summarise
    assert demonstrate is not None
    assert summarise is not None
    chats = []
    for task in benchmark.tasks("train")[: episodes // EPISODES_PER_PLAN]:
        plan = summarise(demonstrate(task, 0, None))
        for person in range(1, EPISODES_PER_PLAN + 1):
            played = demonstrate(task, person, None)
            chat = [
                first_message(
                    benchmark, played.task, played.task.instruction, PromptProfile.COMPACT
                )
            ]
            for step in played.steps:
                reply = f"Thought: {step.thought}\nAction: {step.action}"
                chat.append({"role": "assistant", "content": reply})
                chat.append({"role": "user", "content": f"Observation: {step.observation}"})
            chats.append(insert_plan(chat[: 2 * MOST_TURNS - 1], plan))
    return chats


def turns(chat: list[Message]) -> list[list[Message]]:
    """What the model reads at each turn."""
    return [chat[:end] for end in range(1, len(chat) + 1, 2)]


def measured(work: Callable[[], list[list[str]]], *, server: int | None = None) -> dict[str, Any]:
    """Texts of all turns of all episodes, and what they took."""
    begun, before = time.perf_counter(), _cpu_s(server)
    texts = work()
    return {
        "wall_s": time.perf_counter() - begun,
        "cpu_s": _cpu_s(server) - before,
        "peak_mib": peak_mib(server or os.getpid()),
        "texts": texts,
    }


def _cpu_s(server: int | None) -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime + (cpu_s_of(server) if server else 0.0)


async def _play(model: Any, chats: Chats, *, sessions: bool) -> list[list[str]]:
    sampling = Sampling(max_tokens=REPLY_TOKENS)

    async def episode(number: int) -> list[str]:
        session = str(number) if sessions else None
        said = []
        for prompt in turns(chats[number]):
            [completion] = await model.complete(prompt, sampling, session=session)
            said.append(completion.text)
        return said

    return list(await asyncio.gather(*(episode(number) for number in range(len(chats)))))


def local(directory: Path, chats: Chats, *, sessions: bool = True, cache: bool = True) -> Any:
    """`LocalModel`."""
    model = LocalModel(directory, cache_bytes=2 << 30 if cache else 0)
    asyncio.run(_play(model, chats[:1], sessions=False))
    return measured(lambda: asyncio.run(_play(model, chats, sessions=sessions)))


def in_lockstep(
    directory: Path, chats: Chats, generate: Callable[[list[list[int]]], list[list[int]]]
) -> Any:
    """Every turn of all episodes as one batch."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(directory)

    def work() -> list[list[str]]:
        said: list[list[str]] = [[] for _ in chats]
        for turn in range(max(len(turns(chat)) for chat in chats)):
            going = [at for at, chat in enumerate(chats) if turn < len(turns(chat))]
            prompts = [
                tokenizer.apply_chat_template(
                    turns(chats[at])[turn], add_generation_prompt=True, return_dict=False
                )
                for at in going
            ]
            for at, tokens in zip(going, generate(prompts), strict=True):
                said[at].append(tokenizer.decode(tokens, skip_special_tokens=True))
        return said

    generate([[5, 6, 7]])
    return measured(work)


def _transformers(directory: Path) -> Any:
    import torch
    from transformers import AutoModelForCausalLM

    torch.set_num_threads(1)
    return AutoModelForCausalLM.from_pretrained(directory).eval()


def stock_generate(directory: Path, chats: Chats) -> Any:
    """`transformers.generate`, batched, padded on the left."""
    import torch

    model = _transformers(directory)

    def generate(prompts: list[list[int]]) -> list[list[int]]:
        longest = max(map(len, prompts))
        padded = [[0] * (longest - len(prompt)) + prompt for prompt in prompts]
        real = [[0] * (longest - len(prompt)) + [1] * len(prompt) for prompt in prompts]
        new = model.generate(
            torch.tensor(padded),
            attention_mask=torch.tensor(real),
            do_sample=False,
            max_new_tokens=REPLY_TOKENS,
        )
        return [row[longest:].tolist() for row in new]

    return in_lockstep(directory, chats, generate)


def continuous_batching(directory: Path, chats: Chats) -> Any:
    """transformers' `generate_batch`."""
    from transformers import GenerationConfig

    model = _transformers(directory)
    config = GenerationConfig(
        do_sample=False,
        max_new_tokens=REPLY_TOKENS,
        eos_token_id=model.generation_config.eos_token_id,
        pad_token_id=model.generation_config.pad_token_id,
    )

    def generate(prompts: list[list[int]]) -> list[list[int]]:
        results = model.generate_batch(inputs=prompts, generation_config=config)
        answers = list(results.values())
        if len(answers) < len(prompts):
            raise RuntimeError(f"{len(answers)} answers to {len(prompts)} prompts")
        in_order = {tuple(answer.prompt_ids): answer.generated_tokens for answer in answers}
        return [in_order[tuple(prompt)] for prompt in prompts]

    return in_lockstep(directory, chats, generate)


def through_server(directory: Path, chats: Chats, *options: str) -> Any:
    """`transformers serve` behind `ServedModel`, greedy by the model's generation config."""
    with served(directory, *options) as (url, process):
        model = ServedModel(ServedSettings(model=str(directory), urls=(url,), timeout_s=600))

        async def play(some: Chats) -> list[list[str]]:
            return await _play(model, some, sessions=True)

        async def whole() -> Any:
            await play([chats[0][:1]])
            begun, before = time.perf_counter(), _cpu_s(process)
            texts = await play(chats)
            spent = {"wall_s": time.perf_counter() - begun, "cpu_s": _cpu_s(process) - before}
            await model.close()
            return {**spent, "peak_mib": peak_mib(process), "texts": texts}

        return asyncio.run(whole())


def vllm(directory: Path, chats: Chats) -> Any:
    """vLLM's `LLM.generate` in its own environment, with its prefix cache."""
    script = Path(__file__).with_name("local_engine_vllm.py")
    command = [os.environ["LOCAL_ENGINE_VLLM"], str(script), str(directory), str(CONTEXT)]
    quiet = {"VLLM_ENABLE_V1_MULTIPROCESSING": "0", "VLLM_CPU_KVCACHE_SPACE": "1"}
    child = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env={**os.environ, **quiet, "VLLM_LOGGING_LEVEL": "ERROR"},
    )  # fmt: skip
    assert child.stdin is not None
    assert child.stdout is not None

    def generate(prompts: list[list[int]]) -> list[list[int]]:
        print(
            json.dumps({"prompts": prompts, "tokens": REPLY_TOKENS}), file=child.stdin, flush=True
        )
        for line in child.stdout:
            if line.startswith("["):
                return json.loads(line)
        raise RuntimeError("vLLM ended")

    before = 0.0

    def warmed(prompts: list[list[int]]) -> list[list[int]]:
        nonlocal before
        tokens = generate(prompts)
        before = before or cpu_s_of(child.pid)  # after the first call, which warms it up
        return tokens

    found = in_lockstep(directory, chats, warmed)
    found["cpu_s"] += cpu_s_of(child.pid) - before
    found["peak_mib"] = peak_mib(child.pid)
    child.stdin.close()
    child.wait()
    return found


WAYS: dict[str, Callable[[Path, Chats], Any]] = {
    "this engine": local,
    "this engine, no sessions": lambda d, c: local(d, c, sessions=False),
    "batches from start to end": lambda d, c: local(d, c, cache=False),
    "transformers.generate": stock_generate,
    "transformers generate_batch": continuous_batching,
    "transformers serve": through_server,
    "transformers serve --continuous-batching": lambda d, c: through_server(
        d, c, "--continuous-batching"
    ),
    "vLLM, CPU build": vllm,
}


def run_child(way: str, directory: Path, chats: Chats, out: Path) -> None:
    """One way, in this process; its result as JSON."""
    out.write_text(json.dumps(WAYS[way](directory, chats)))


def in_process_of_its_own(way: str, directory: Path, out: Path) -> dict[str, Any] | str:
    """Its result, or why there is none."""
    command = [sys.executable, __file__, "--child", way, str(directory), str(out)]
    child = subprocess.run(
        command,
        env={**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    if child.returncode:
        return (child.stderr.strip().splitlines() or ["no message"])[-1][:160]
    return json.loads(out.read_text())


def table(results: dict[str, dict[str, Any] | str]) -> str:
    """Markdown; the first way is what the others are compared with."""
    first = next(iter(results.values()))
    assert not isinstance(first, str), first
    said = [text for texts in first["texts"] for text in texts]
    lines = [
        "| way | CPU per turn, ms | turns/s of a core | as much as the first | same | peak, MiB |",
        "|---|---|---|---|---|---|",
    ]
    for way, result in results.items():
        if isinstance(result, str):
            lines.append(f"| {way} | – | – | – | – | {result} |")
            continue
        texts = [text for episode in result["texts"] for text in episode]
        cost = result["cpu_s"] / len(texts)
        ratio = cost / (first["cpu_s"] / len(said))
        same = sum(a == b for a, b in zip(said, texts, strict=True)) / len(said)
        lines.append(
            f"| {way} | {cost * 1e3:.1f} | {1 / cost:.0f} | 1/{ratio:.1f} | {same:.2%} | "
            f"{result['peak_mib']:.0f} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--episodes", type=int, default=40)
    parser.add_argument("--ways", nargs="*", default=list(WAYS))
    parser.add_argument("--vllm", default=os.environ.get("LOCAL_ENGINE_VLLM"))
    parser.add_argument("--child", nargs=3)
    options = parser.parse_args()
    if options.child:
        way, directory, out = options.child
        chats = json.loads((Path(directory) / "chats.json").read_text())
        run_child(way, Path(directory), chats, Path(out))
        return
    chats = conversations(options.episodes)
    with tempfile.TemporaryDirectory() as scratch:
        directory = Path(scratch) / "model"
        size = ScratchSettings(
            hidden_size=options.width, layers=4, heads=options.width // 32,
            intermediate_size=3 * options.width, context=CONTEXT, pieces="phrases",
        )  # fmt: skip
        create_scratch_model([m["content"] for chat in chats for m in chat], directory, size)
        (directory / "chats.json").write_text(json.dumps(chats))
        # A server draws by the model's own file.
        config = directory / "generation_config.json"
        config.write_text(json.dumps(json.loads(config.read_text()) | {"do_sample": False}))
        if options.vllm:
            os.environ["LOCAL_ENGINE_VLLM"] = options.vllm
        lengths = [len(turns(chat)) for chat in chats]
        print(f"{sum(lengths)} turns of {len(chats)} episodes", flush=True)
        results: dict[str, dict[str, Any] | str] = {}
        for way in options.ways:
            if way.startswith("vLLM") and not options.vllm:
                results[way] = "no environment given (--vllm)"
                continue
            results[way] = in_process_of_its_own(way, directory, Path(scratch) / "result.json")
            print(table(results), flush=True)


if __name__ == "__main__":
    main()
