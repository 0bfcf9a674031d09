"""The paper's recipes, scaled down by ``--set`` alone, from start to end through HTTP.

    python benchmarks/paper_recipes.py alfworld|scienceworld [--out DIR] [--tasks 4]

Every role that the paper gives to a large model (agent, summariser, prompted planner) is played by
one small model of ours behind ``transformers serve``; the planner is trained from its weights. The
small model is made here from nothing: fine-tuned for some minutes on the experts' turns in the very
tasks that the recipe will explore, and on plans that the benchmark's rule tells of them, with the
paper's own prompts. So some of its episodes succeed, and there is something to prefer. What this
shows is that the path works, not how much plans help.
"""

from __future__ import annotations

import argparse
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from metaplan.agents import PromptProfile, first_message, insert_plan
from metaplan.collection import conversation_text
from metaplan.core import DataError, ExpertTrajectory, MetaPlan, Task, fill
from metaplan.environments import Benchmark, get_benchmark
from metaplan.models import Message
from metaplan.planners import PlannerPrompt, write_jsonl
from metaplan.runs import choose_tasks
from metaplan.training import ScratchSettings, SftSettings, create_scratch_model, train_sft

TRAIN_SETS = {"alfworld": "train@put", "scienceworld": "train@paper"}
TURNS_LEARNED = 25
LONGEST_CONVERSATION = 6_000  # characters; a context of 4,096 tokens holds it
SIZE = ScratchSettings(hidden_size=128, layers=3, context=4096, vocabulary_size=8192)
TRAINING = SftSettings(
    epochs=16,
    batch_size=8,
    per_device_batch_size=2,
    optimizer="muon",
    learning_rate=5e-3,
    warmup_ratio=0.1,
    max_length=4096,
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("benchmark", choices=sorted(TRAIN_SETS))
    parser.add_argument("--out", type=Path, default=Path("runs/paper-recipes"))
    parser.add_argument("--tasks", type=int, default=4, help="training tasks of the recipe")
    options = parser.parse_args()
    started = time.monotonic()
    out = options.out / options.benchmark
    model = small_model(get_benchmark(options.benchmark), out, options.tasks)
    taught = time.monotonic()
    with served(model, out / "server.log") as url:
        code = run_recipe(options.benchmark, model, url, out, options.tasks)
    ended = time.monotonic()
    print(f"small model: {taught - started:.0f} s; recipe through HTTP: {ended - taught:.0f} s")
    sys.exit(code)


def small_model(benchmark: Benchmark, out: Path, count: int) -> Path:
    """A model that has seen the benchmark's formats; made where `out` holds none."""
    if (out / "model" / "model.safetensors").exists():
        return out / "model"
    examples = list(lessons(benchmark, count))
    print(f"{len(examples)} lessons from {benchmark.name}", flush=True)
    dataset = write_jsonl(out / "lessons.jsonl", examples)
    texts = [
        message["content"]
        for example in examples
        for message in (*example["prompt"], *example["completion"])
    ]
    base = create_scratch_model(texts, out / "base", SIZE)
    train_sft(base, dataset, out / "model", TRAINING, on_log=show)
    return out / "model"


def lessons(benchmark: Benchmark, count: int) -> Iterator[dict[str, list[Message]]]:
    """What an expert would have said, in each of the three roles."""
    for task in choose_tasks(benchmark.tasks(TRAIN_SETS[benchmark.name]), count, seed=0):
        try:
            trajectory = benchmark.expert(task)
            plan = benchmark.summarise(trajectory)
        except DataError:  # the expert fails now and then
            continue
        words = {"task": trajectory.task.instruction, "plan_words": "meta plan", "tag": "meta_plan"}
        said = conversation_text(trajectory)
        if len(said) <= LONGEST_CONVERSATION:
            prompt = fill(benchmark.prompts.collection, conversation=said, **words)
            yield lesson([{"role": "user", "content": prompt}], plan.tagged())
        planner = PlannerPrompt(template=benchmark.prompts.planner)
        yield lesson(planner.messages(trajectory.task.instruction), plan.tagged())
        yield from turns(benchmark, task, trajectory, plan)


def turns(
    benchmark: Benchmark, task: Task, trajectory: ExpertTrajectory, plan: MetaPlan
) -> Iterator[dict[str, list[Message]]]:
    messages = [first_message(benchmark, task, trajectory.task.instruction, PromptProfile.PAPER)]
    for step in trajectory.steps[:TURNS_LEARNED]:
        reply = f"Action: {step.action}"
        yield lesson(insert_plan(messages, plan), reply)
        messages = [
            *messages,
            {"role": "assistant", "content": reply},
            {"role": "user", "content": f"Observation: {step.observation}"},
        ]


def lesson(prompt: list[Message], reply: str) -> dict[str, list[Message]]:
    return {"prompt": prompt, "completion": [{"role": "assistant", "content": reply}]}


def show(log: dict[str, float]) -> None:
    if log["step"] % 20 == 0:
        print(
            f"  update {log['step']:.0f} of {log['total_steps']}: loss {log['loss']:.2f}",
            flush=True,
        )


@contextmanager
def served(model: Path, log: Path) -> Iterator[str]:
    """`transformers serve` on a free loopback port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        str(Path(sys.executable).with_name("transformers")), "serve", str(model),
        "--host", "127.0.0.1", "--port", str(port),
    ]  # fmt: skip
    with log.open("w") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file, env={**os.environ})
        try:
            wait_until_healthy(f"http://127.0.0.1:{port}/health", process, log)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            process.terminate()
            process.wait()


def wait_until_healthy(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(240):
        if process.poll() is not None:
            sys.exit(f"the server ended: {log.read_text()[-2000:]}")
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            time.sleep(0.5)
    sys.exit("the server did not start within two minutes")


def run_recipe(benchmark: str, model: Path, url: str, out: Path, tasks: int) -> int:
    """The recipe with sizes and places changed, nothing else."""
    settings = {
        **{
            f"{who}.served.{field}": value
            for who in ("agent", "prompted", "collect.summariser")
            for field, value in (("model", str(model)), ("urls", [url]), ("max_in_flight", 4))
        },
        "planner.base": str(model),
        "runtime.accelerate": "null",
        "tasks.train.count": tasks,
        "tasks.evaluate.seen.count": 4,
        "tasks.evaluate.unseen.count": 4,
        "explore.tasks": tasks,
        "explore.plans_per_task": 3,
        "explore.temperature": 1.3,  # what was learned by heart has to come out in several ways
        "explore.episodes_per_plan": 2,
        "agent.max_tokens": 48,
        "planner.max_tokens": 200,
        "prompted.max_tokens": 200,
        "collect.summariser.max_tokens": 200,
        **{
            f"{stage}.{field}": value
            for stage in ("sft", "rft", "dpo")
            for field, value in (
                ("batch_size", 4), ("per_device_batch_size", 2), ("learning_rate", 1e-4),
            )
        },
    }  # fmt: skip
    command = [
        str(Path(sys.executable).with_name("metaplan")), "run", f"{benchmark}-paper",
        "--out", str(out / "run"),
        *(part for name, value in settings.items() for part in ("--set", f"{name}={yaml(value)}")),
    ]  # fmt: skip
    return subprocess.run(command, check=False).returncode


def yaml(value: object) -> str:
    return f"[{', '.join(map(yaml, value))}]" if isinstance(value, list) else str(value)


if __name__ == "__main__":
    main()
