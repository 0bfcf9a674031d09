"""The model card of a tuned agent: what it learned from, how, and what it can do."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from metaplan.evaluation import ResultRow, Results
from metaplan.evaluation.records import ALL
from metaplan.planners import read_jsonl
from metaplan.recipes import dump_config
from metaplan.recipes.tuning import AgentTuningConfig
from metaplan.reports.markdown import escape, table
from metaplan.reports.wording import duration, interval, metric_label, value
from metaplan.runs import Run, write_text
from metaplan.runs.models import agent_name
from metaplan.training import TrainingResult

__all__ = ["write_card"]

_METRICS = ("success", "reward", "steps", "invalid_action_rate", "format_error_rate")
_TRAINING = ("Stage", "Examples", "Cut", "Updates", "Batch", "Epochs", "Rate", "Tokens", "Time")


def write_card(run: Run, agent: Path, results: Results) -> Path:
    """Writes ``README.md`` beside an agent's weights, as model hubs show it.

    Args:
        run: Which has trained the agent.
        agent: The agent's directory.
        results: Of the run's evaluation.

    Returns:
        The card.

    Raises:
        RunError: It can't be written.
    """
    name = agent_name(agent)
    parts = (
        _front_matter(run),
        f"# {escape(name)}",
        _introduction(run),
        _use(run, agent),
        "## Results\n\n" + _results(run, name, results),
        "## Training data\n\n" + _data(run),
        "## Training\n\n" + _trainings(agent),
        "## Versions\n\n" + _versions(run),
        "## Recipe\n\n"
        "With this as `recipe.yaml`, `metaplan tune recipe.yaml --out RUN` trains it again.\n\n"
        f"```yaml\n{dump_config(run.config).rstrip()}\n```",
    )
    card = agent / "README.md"
    write_text(card, "\n\n".join(parts) + "\n")
    return card


def _front_matter(run: Run) -> str:
    base = run.tuning.base
    lines = ["library_name: transformers", "pipeline_tag: text-generation", "tags: [metaplan]"]
    if base != "scratch" and not Path(base).is_dir():
        lines.append(f"base_model: {base}")
    return "\n".join(["---", *lines, "---"])


def _introduction(run: Run) -> str:
    base = run.tuning.base
    scratch = run.tuning.scratch
    made = (
        f"a Llama architecture of random weights, {scratch.hidden_size} wide, {scratch.layers} "
        f"layers; its vocabulary is that of its training data"
        if base == "scratch"
        else f"`{base}`"
    )
    return (
        f"An agent for {run.benchmark.name}: {escape(run.benchmark.description)}\n\n"
        f"Base model: {made}. It answers every "
        f"observation with `Thought: …` and `Action: …`, and was trained on the prompts of the "
        f"profile `{run.config.agent.profile}`, plans at `{run.config.agent.placement}`: use it "
        f"with those."
    )


def _use(run: Run, agent: Path) -> str:
    return (
        "```sh\n"
        f"metaplan run RECIPE --out RUN --set agent.model=local --set agent.path=…/{agent.name} "
        f"\\\n  --set agent.profile={run.config.agent.profile} "
        f"--set agent.dialect={run.config.agent.dialect}\n```"
    )


def _results(run: Run, name: str, results: Results) -> str:
    found = {
        (row.split, row.metric): row
        for row in results.rows
        if (row.agent, row.task_type, row.seed) == (name, ALL, ALL)
    }
    rows = []
    for split, wanted in run.config.tasks.evaluate.items():
        cells = [_cell(found.get((split, metric))) for metric in _METRICS]
        measured = found.get((split, _METRICS[0]))
        rows.append(
            [f"{escape(split)} ({wanted.task_set})", *cells, f"{measured.n if measured else 0}"]
        )
    header = ["Without a plan, 95% interval over tasks", *map(metric_label, _METRICS), "Tasks"]
    said = f"At temperature {run.config.evaluate.temperature:g}; {_overlap(run)}."
    return f"{table(header, rows)}\n\n{said}"


def _overlap(run: Run) -> str:
    """How many of the tasks were trained on: with trajectories of one's own it might be any."""
    learned = {line["task_key"] for _, line in read_jsonl(run.datasets / "agent_sft.jsonl")}
    known = sum(key in learned for tasks in run.evaluation_tasks().values() for key in tasks)
    return f"{known or 'none'} of these tasks {'were' if known else 'was'} trained on"


def _cell(row: ResultRow | None) -> str:
    return f"{value(row.metric, row.mean)} {interval(row)}" if row else ""


def _people(tuning: AgentTuningConfig) -> str:
    others = ", ".join(f"{type_}: {count}" for type_, count in tuning.people_of.items())
    return f"{tuning.people}" + (f" ({others})" if others else "")


def _data(run: Run) -> str:
    facts = dict(_stage(run, "demonstrate"))
    lines = [
        f"Task set `{run.config.tasks.train.task_set}` of {run.benchmark.name}, "
        f"{len(run.train_tasks())} tasks, people who demonstrated each: {_people(run.tuning)}. "
        "Solved ones were trained on:",
        "",
        *(f"- {key.replace('_', ' ')}: {value}" for key, value in facts.items()),
        "",
        "The own plan is the seed plan of the task, the other one that of another training task "
        "that looks for the same; whoever demonstrated was shown it as well. A benchmark's one "
        "expert is shown none: its own plan is the summary of the very trajectory. Thoughts are "
        "the expert's own, or from a template where it has none.",
    ]
    return "\n".join(lines)


def _stage(run: Run, name: str) -> dict[str, Any]:
    stage = run.store.stages().get(name)
    return (stage.result if stage else None) or {}


def _trainings(agent: Path) -> str:
    return table(_TRAINING, [_training(training) for training in _of(agent)])


def _of(agent: Path) -> Iterator[TrainingResult]:
    """The trainings that led to an agent, in order."""
    for directory in dict.fromkeys((agent.with_name("sft"), agent)):
        text = (directory / "training.json").read_text("utf-8")
        yield TrainingResult.model_validate_json(text)


def _training(training: TrainingResult) -> Sequence[str]:
    settings = training.settings
    return [
        "sft" if training.method == "sft" else "eto",
        f"{training.examples:,}",
        f"{training.truncated:,}",
        f"{training.steps:,}",
        f"{settings.batch_size}",
        f"{settings.epochs:g}",
        f"{settings.learning_rate:g}",
        f"{training.curve[-1]['num_tokens']:,.0f}",
        duration(training.duration_s),
    ]


def _versions(run: Run) -> str:
    versions = json.loads((run.directory / "versions.json").read_text("utf-8"))
    packages = {"metaplan": versions["metaplan"], "python": versions["python"]}
    packages |= versions["packages"]
    lines = [f"- {name} {version}" for name, version in packages.items()]
    for task_set, facts in versions["benchmark"].items():
        told = ", ".join(f"{name} {fact}" for name, fact in facts.items())
        lines.append(f"- task set {task_set}: {told}")
    return "\n".join(lines)
