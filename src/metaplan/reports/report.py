"""The report of a run: what it measured, and enough of what happened to believe it."""

from __future__ import annotations

import datetime
import json
import os
import platform
from collections.abc import Iterator, Sequence
from pathlib import Path

from metaplan.core import Episode, PlanScore, RunError
from metaplan.episodes import RunStore
from metaplan.evaluation import Arm, Comparison, Results
from metaplan.exploration import pairs_of
from metaplan.planners import read_jsonl
from metaplan.recipes import dump_config
from metaplan.reports.context import ExampleEpisode, ExamplePlans, ReportContext, RunFacts
from metaplan.reports.write import write_report
from metaplan.runs import Run
from metaplan.training import TrainingResult

__all__ = ["load_results", "report"]

_EXAMPLES = 4


def report(run: Run, comparison: Comparison) -> Path:
    """Writes ``report/`` of a run.

    Args:
        run: The experiment, evaluated.
        comparison: What it measured.

    Returns:
        The path of ``index.html``.

    Raises:
        MissingDependencyError: The extra ``report`` is not installed.
    """
    with run.stage("report"):
        context = _context(run, comparison.arms)
        return write_report(run.directory / "report", comparison.results, context)


def load_results(directory: str | Path) -> Results:
    """The results of a run: what its ``report/results.json`` says.

    Raises:
        RunError: The run has not been evaluated yet.
    """
    with RunStore(Path(directory), read_only=True) as store:
        results = store.fact("results")
    if results is None:
        raise RunError(f"{directory} has no results yet: 'metaplan evaluate --out {directory}'")
    return Results.model_validate(results)


def _context(run: Run, arms: Sequence[Arm]) -> ReportContext:
    scores = tuple(_plan_scores(run))
    plans = _plans_by_task(run)
    trainings = _trainings(run)
    return ReportContext(
        title=run.config.name,
        facts=_facts(run),
        config_yaml=dump_config(run.config),
        curves={method: training.curve for method, training in trainings.items()},
        plan_scores=scores,
        pairs=tuple(pairs_of(run, scores)),
        example_plans=tuple(_example_plans(run, plans)),
        example_episodes=tuple(_example_episodes(run, plans, _first_episodes(arms))),
        notes=tuple(_notes(run, trainings)),
    )


def _facts(run: Run) -> RunFacts:
    versions = json.loads((run.directory / "versions.json").read_text("utf-8"))
    packages = {"python": versions["python"], "metaplan": versions["metaplan"]}
    data = {
        f"{task_set}: {name}": value
        for task_set, facts in versions["benchmark"].items()
        for name, value in facts.items()
    }
    return RunFacts(
        recipe=run.config.name,
        date=datetime.datetime.now(tz=datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        machine=f"{os.cpu_count()} cores, {platform.machine()}, {platform.system()}",
        stage_seconds={name: stage.seconds for name, stage in run.store.stages().items()},
        versions={**packages, **versions["packages"], **data},
        episodes={summary.purpose: summary.episodes for summary in run.store.status().episodes},
        void=run.store.void_causes(),
    )


def _trainings(run: Run) -> dict[str, TrainingResult]:
    """By stage, in order: of planners, or of the agent."""
    found = {}
    for name in ("planners/sft", "planners/rft", "planners/mpo", "agents/sft", "agents/eto"):
        path = run.directory / name / "training.json"
        if path.exists():
            text = path.read_text("utf-8")
            found[path.parent.name] = TrainingResult.model_validate_json(text)
    return found


def _plan_scores(run: Run) -> Iterator[PlanScore]:
    path = run.datasets / "plan_scores.jsonl"
    if path.exists():
        yield from (PlanScore.model_validate(record) for _, record in read_jsonl(path))


Plans = dict[str, dict[str, str | None]]


def _plans_by_task(run: Run) -> Plans:
    """Task key to method to the plan's text, from the exports of the evaluation."""
    plans: Plans = {}
    for method in run.config.evaluate.methods:
        for split in run.config.tasks.evaluate:
            path = run.datasets / f"plans-{method}-{split}.jsonl"
            if path.exists():
                for _, record in read_jsonl(path):
                    plans.setdefault(record["task_key"], {})[method] = record["plan"]
    return plans


def _example_plans(run: Run, plans: Plans) -> Iterator[ExamplePlans]:
    """Tasks on which the methods' plans differ most, a few of them."""
    tasks = run.store.tasks()
    by_variety = sorted(plans, key=lambda key: (-len(set(plans[key].values())), key))
    for key in by_variety[:_EXAMPLES]:
        written = {method: text for method, text in plans[key].items() if text}
        if written:
            yield ExamplePlans(task_key=key, instruction=tasks[key].instruction, plans=written)


def _example_episodes(
    run: Run, plans: Plans, episodes: dict[str, dict[str, Episode]]
) -> Iterator[ExampleEpisode]:
    """One task that the first method fails and the last solves, and one the other way round."""
    tasks = run.store.tasks()
    first, last = run.config.evaluate.methods[0], run.config.evaluate.methods[-1]
    wanted = {
        f"{last} solves it, {first} does not": (False, True),
        f"{first} solves it, {last} does not": (True, False),
    }
    for title, (first_wins, last_wins) in wanted.items():
        for key in sorted(episodes):
            played = episodes[key]
            if {first, last} <= played.keys() and (
                played[first].success == first_wins and played[last].success == last_wins
            ):
                yield from (
                    ExampleEpisode(
                        title=title,
                        method=method,
                        instruction=tasks[key].instruction,
                        plan=plans.get(key, {}).get(method),
                        episode=played[method],
                    )
                    for method in (first, last)
                )
                break


def _first_episodes(arms: Sequence[Arm]) -> dict[str, dict[str, Episode]]:
    """Task key to method to its first episode."""
    found: dict[str, dict[str, Episode]] = {}
    for arm in arms:
        for episode in arm.episodes:
            if episode.repetition == 0:
                found.setdefault(episode.task_key, {})[arm.method] = episode
    return found


def _notes(run: Run, trainings: dict[str, TrainingResult]) -> Iterator[str]:
    if run.config.agent.model == "follower":
        yield (
            "The agent is the built-in rule-based plan follower, which obeys plans by "
            "construction. Results with it show that the pipeline works, not that MPO helps "
            "language models."
        )
    for method in ("rft", "mpo"):
        if method in run.config.evaluate.methods and method not in trainings:
            yield f"{method}: exploration gave nothing to learn from; its plans are those of sft."
    for method, training in trainings.items():
        if training.truncated:
            yield (
                f"{method}: {training.truncated} of {training.examples} training examples were "
                f"longer than {training.length_limit} tokens and lost their end."
            )
