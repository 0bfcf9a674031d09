"""All of Meta Plan Optimization (paper, section 3) in one function; agent tuning in another."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from pathlib import Path

from metaplan.collection import agent_dataset, collect, demonstrate
from metaplan.core import ConfigError
from metaplan.episodes import Progress
from metaplan.evaluation import compare_agents, compare_planners
from metaplan.exploration import dpo_dataset, eto_dataset, explore, rft_dataset, sample
from metaplan.recipes import PromptedConfig, RunConfig
from metaplan.reports import report, write_card
from metaplan.runs import Run, settle
from metaplan.runs.faults import full_disk_named

__all__ = ["STAGES", "TUNING_STAGES", "mpo", "optimize", "run_mpo", "run_tune", "tune"]

STAGES = ("collect", "sft", "sample", "explore", "dpo", "evaluate", "report")
TUNING_STAGES = ("demonstrate", "sft", "eto", "evaluate", "report")


def mpo(run: Run) -> Iterator[str]:
    """Trains a meta planner from an agent's rewards and measures what it is worth.

    Every stage does only what is missing: a run that was interrupted, or that got more tasks or
    episodes, goes on where it stands.

    Args:
        run: The experiment.

    Yields:
        The name of each stage when it is done.
    """
    planners: dict[str, Path | PromptedConfig | None] = {
        "none": None,
        "prompted": run.config.prompted,
    }
    if run.config.trains_planner:
        planners |= yield from optimize(run)

    # 4    The same agent, with no plan and with the plans of each planner.
    comparison = compare_planners(run, planners)
    yield "evaluate"
    report(run, comparison)
    yield "report"


def optimize(run: Run) -> Generator[str, None, dict[str, Path]]:
    """Section 3 of the paper: the planners that a run trains.

    Args:
        run: The experiment.

    Yields:
        The name of each stage when it is done.

    Returns:
        Planner directories by method.
    """
    # 3.1  Summarise expert trajectories into seed plans; fine-tune the planner on them.
    seed_plans = collect(run)
    yield "collect"
    sft_planner = run.fine_tune("sft", seed_plans, run.config.sft)
    yield "sft"

    # 3.2  Sample M plans a task, play N episodes with each: Q(p) is their mean reward.
    samples = sample(run, sft_planner)
    yield "sample"
    scores = explore(run, samples)
    yield "explore"

    # 3.3  Best against worst plan of a task make a pair: DPO. The best plans alone: RFT (5.1).
    pairs = dpo_dataset(run, scores)
    mpo_planner = run.fine_tune("mpo", pairs, run.config.dpo, start=sft_planner)
    best = rft_dataset(run, scores)
    rft_planner = run.fine_tune("rft", best, run.config.rft, start=sft_planner)
    yield "dpo"
    return {"sft": sft_planner, "rft": rft_planner, "mpo": mpo_planner}


def tune(run: Run) -> Iterator[str]:
    """Trains an agent on experts' trajectories, then against its own failures, and measures it.

    Every stage does only what is missing, as in `mpo`.

    Args:
        run: The experiment, whose recipe has `tuning`.

    Yields:
        The name of each stage when it is done.
    """
    # AgentTuning: SFT on what experts did, with plans in the prompt and without.
    demonstrations = demonstrate(run)
    conversations = agent_dataset(run, demonstrations)
    yield "demonstrate"
    sft_agent = run.tune_agent("sft", conversations, run.tuning.sft)
    yield "sft"

    # ETO: the agent plays the same tasks; expert against failed episode make a pair: DPO.
    eto_agent = sft_agent
    if run.tuning.eto is not None:
        pairs = eto_dataset(run, sft_agent, demonstrations)
        eto_agent = run.tune_agent("eto", pairs, run.tuning.eto, start=sft_agent)
    yield "eto"

    # The agents that came of it, without plans.
    agents = list(dict.fromkeys((sft_agent, eto_agent)))
    comparison = compare_agents(run, agents)
    yield "evaluate"
    report(run, comparison)
    for agent in agents:
        write_card(run, agent, comparison.results)
    yield "report"


def run_mpo(
    config: RunConfig | None,
    directory: str | Path,
    progress: Progress | None = None,
    *,
    until: str = "report",
) -> None:
    """Runs `mpo` in a directory; the results are in its ``report/``.

    Args:
        config: What to run; None goes on with what the directory holds.
        directory: The run directory.
        progress: Where to tell about long work.
        until: The last stage to do, one of `STAGES`.

    Raises:
        ConfigError: The stage trains a planner, and the run compares none; or the run tunes an
            agent, which `run_tune` does.
    """
    config = settle(config, Path(directory))
    if config.tuning is not None:
        raise ConfigError("this recipe trains an agent, not a planner: 'metaplan tune' does that")
    if until not in STAGES[-2:] and not config.trains_planner:
        raise ConfigError(
            f"there is no '{until}' in this run: evaluate.methods names no trained planner "
            f"(sft, rft, mpo)"
        )
    _carry_out(mpo, config, directory, progress, until)


def run_tune(
    config: RunConfig | None,
    directory: str | Path,
    progress: Progress | None = None,
    *,
    until: str = "report",
) -> None:
    """Runs `tune` in a directory; the agents are in its ``agents/``.

    Args:
        config: What to run; None goes on with what the directory holds.
        directory: The run directory.
        progress: Where to tell about long work.
        until: The last stage to do, one of `TUNING_STAGES`.

    Raises:
        ConfigError: The recipe tunes no agent.
    """
    config = settle(config, Path(directory))
    if config.tuning is None:
        raise ConfigError(
            "this recipe trains no agent: it has no field 'tuning'. 'metaplan run' carries it out; "
            "recipes that tune agents are household-agent and alfworld-agent"
        )
    _carry_out(tune, config, directory, progress, until)


def _carry_out(
    stages: Callable[[Run], Iterator[str]],
    config: RunConfig,
    directory: str | Path,
    progress: Progress | None,
    until: str,
) -> None:
    """Goes through the stages of a run up to the one that is named."""
    with full_disk_named(directory), Run(config, directory, progress) as run:
        for stage in stages(run):
            if stage == until:
                return
