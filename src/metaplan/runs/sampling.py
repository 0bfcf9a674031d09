"""Plans of a run's planners: those that are there, and the missing ones drawn now."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from metaplan.core import Task, digest
from metaplan.episodes import for_each, retried
from metaplan.models import weights_digest
from metaplan.planners import PlannerPrompt, PlanSample
from metaplan.recipes import PromptedConfig
from metaplan.runs.faults import naming
from metaplan.runs.models import open_planner

if TYPE_CHECKING:
    from metaplan.runs.run import Run

__all__ = ["sample_plans"]


def sample_plans(
    run: Run,
    planner: Path | PromptedConfig,
    tasks: Mapping[str, Task],
    *,
    count: int,
    temperature: float,
    label: str,
) -> dict[str, list[PlanSample]]:
    """Plans of a planner for tasks: each is drawn once and kept in the run.

    The model is loaded where a plan is missing, and freed again.

    Args:
        run: Whose planner it is.
        planner: A trained planner's directory, or the LLM that is prompted.
        tasks: By key.
        count: Samples per task.
        temperature: 0 for greedy plans.
        label: For progress.

    Returns:
        Exactly `count` samples for each task, by task key.

    Raises:
        RunError: The model could not answer for a task; the message names it.
    """
    source = digest(_writer(run, planner), temperature, run.config.seed)
    known = run.store.plan_samples(source)
    missing = [task for key, task in tasks.items() if len(known.get(key, ())) < count]

    async def draw_all() -> None:
        writer = open_planner(run, planner)
        try:
            with run.progress.track(label, len(tasks), len(tasks) - len(missing)) as tracker:

                async def draw(task: Task) -> None:
                    start = len(known.get(task.key, ()))
                    with naming(f"no plan could be drawn for {task.key}"):
                        drawn = await retried(
                            lambda: writer.sample(
                                task,
                                count - start,
                                temperature=temperature,
                                seed=run.config.seed,
                                start=start,
                            ),
                            run.config.runtime.retry,
                        )
                    run.store.add_plan_samples(source, drawn)
                    tracker.advance()

                await for_each(missing, draw, limit=run.config.runtime.concurrency)
        finally:
            await writer.model.close()

    if missing:
        if isinstance(planner, PromptedConfig):
            run.store.set_fact(f"prompted/{source}", True)  # its tokens are counted apart
        run.wait(draw_all())
        known = run.store.plan_samples(source)
    return {key: known[key][:count] for key in tasks}


def _writer(run: Run, planner: Path | PromptedConfig) -> list[object]:
    """What shapes a planner's plans, without loading it."""
    if isinstance(planner, PromptedConfig):
        prompted = open_planner(run, planner)  # nothing is loaded, nobody is asked
        return [dict(prompted.model.fingerprint), prompted.prompt.model_dump(mode="json")]
    return [weights_digest(planner), PlannerPrompt.load(planner).model_dump(mode="json")]
