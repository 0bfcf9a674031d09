"""The trainings of a run: what they start from, and how a changed dataset is met."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from metaplan.agents import Demonstration, tuning_conversation
from metaplan.agents.conversation import Turns, as_shown, expert_turns
from metaplan.core import Dialect, MetaPlan, Placement, digest
from metaplan.models import Message
from metaplan.planners import read_jsonl
from metaplan.recipes.config import PlannerConfig
from metaplan.recipes.tuning import AgentTuningConfig
from metaplan.training import (
    DpoSettings,
    OtherTrainingError,
    ScratchSettings,
    SftSettings,
    TrainingResult,
    create_scratch_model,
    train_dpo,
    train_sft,
)

if TYPE_CHECKING:
    from metaplan.runs.run import Run

__all__ = [
    "agent_texts",
    "base_model",
    "conversation_beside",
    "demonstrated_conversation",
    "planner_texts",
    "scratch_base",
    "train",
]


def train(
    run: Run, base: Path | str, dataset: Path, out: Path, settings: SftSettings | DpoSettings
) -> None:
    """Trains a model of a run by SFT or DPO, whichever the settings are for.

    One that was trained on something else (a run that has grown) is trained anew; a finished equal
    training is read back; an interrupted one goes on.

    Args:
        run: Whose stage it is, by the name of `out`.
        base: Model to start from.
        dataset: JSONL in TRL's format.
        out: Directory of the model.
        settings: Of the training.
    """
    stage = out.name
    with run.stage(stage) as result, run.progress.track(f"training {stage}", 0) as tracker:
        updates = 0

        def on_log(log: dict[str, float]) -> None:
            nonlocal updates
            updates += 1
            if updates == 1:  # of this process: an interrupted training goes on from a checkpoint
                tracker.expect(int(log["total_steps"]), done=int(log["step"]) - 1)
            tracker.advance(1, loss=log["loss"])

        def carry_out() -> TrainingResult:
            accelerate = run.config.runtime.accelerate
            if isinstance(settings, DpoSettings):
                return train_dpo(base, dataset, out, settings, on_log=on_log, accelerate=accelerate)
            return train_sft(base, dataset, out, settings, on_log=on_log, accelerate=accelerate)

        try:
            training = carry_out()
        except OtherTrainingError:
            shutil.rmtree(out)
            training = carry_out()
        result.update(
            examples=training.examples, updates=training.steps, truncated=training.truncated
        )


def base_model(
    settings: PlannerConfig | AgentTuningConfig, texts: Iterable[str], out: Path
) -> Path | str:
    """What a training starts from: the model that a recipe names, or a new one in `out`."""
    return (
        scratch_base(texts, out, settings.scratch) if settings.base == "scratch" else settings.base
    )


def scratch_base(texts: Iterable[str], out: Path, settings: ScratchSettings) -> Path:
    """A small model of random weights whose vocabulary is that of a training set.

    Args:
        texts: Of the training set; nothing else shapes the vocabulary.
        out: Where the model goes; made anew when texts or settings differ from what it holds.
        settings: Size and seed.
    """
    texts = list(texts)
    request = {"texts": digest(*map(digest, texts)), **settings.model_dump(mode="json")}
    stamp = out / "scratch.json"
    if stamp.exists() and stamp.read_text("utf-8") == json.dumps(request):
        return out
    shutil.rmtree(out, ignore_errors=True)
    create_scratch_model(texts, out, settings)
    stamp.write_text(json.dumps(request), "utf-8")
    return out


def planner_texts(dataset: Path) -> Iterator[str]:
    """All that a planner reads and writes in a training set."""
    for _, record in read_jsonl(dataset):
        for message in (*record["prompt"], *record["completion"]):
            yield message["content"]


def agent_texts(dataset: Path, dialect: Dialect) -> Iterator[str]:
    """All that an agent reads and writes in a training set, and the plans for its tasks.

    An agent that learns without plans may be shown some later: it should know their words.
    """
    for _, record in read_jsonl(dataset):
        for message in record["messages"]:
            yield message["content"]
        if record["seed_plan"] is not None:
            (message,) = as_shown(
                [{"role": "user", "content": ""}],
                MetaPlan.parse(record["seed_plan"]),
                Placement.INSTRUCTION,
                dialect,
            )
            yield message["content"]


def demonstrated_conversation(run: Run, shown: Demonstration) -> list[dict[str, Any]]:
    """An expert's episode as this run's agent learns it: as far as an agent's episodes go.

    Returns:
        Messages; what the expert did by mistake has ``"weight": 0``.
    """
    limit = run.benchmark.step_limit(shown.trajectory.task)
    turns = islice(expert_turns(shown.trajectory), limit)
    steps = iter(shown.trajectory.steps)
    return [
        {**message, "weight": 0}
        if message["role"] == "assistant" and next(steps).mistake
        else {**message}
        for message in conversation_beside(run, shown, turns)
    ]


def conversation_beside(run: Run, shown: Demonstration, turns: Turns) -> list[Message]:
    """An episode of a demonstrated task as this run's agent has it, with the plan beside it.

    Args:
        run: Its agent's prompts are used.
        shown: For task and plan.
        turns: The expert's own, or those of another's episode.
    """
    settings = run.config.agent
    return tuning_conversation(
        shown.trajectory.task,
        turns,
        benchmark=run.benchmark,
        profile=settings.profile,
        dialect=settings.dialect,
        plan=shown.plan,
        placement=settings.placement,
    )
