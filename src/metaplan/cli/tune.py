"""`metaplan tune`: an agent trained on experts' trajectories, and against its own failures."""

from __future__ import annotations

from typing import Annotated, Literal

from cyclopts import Parameter

from metaplan.cli.consoles import messages, results
from metaplan.cli.dry_run import print_dry_run
from metaplan.cli.progress import TerminalProgress
from metaplan.cli.run import Out, Recipe, Settings
from metaplan.cli.status import print_status
from metaplan.pipeline import run_tune
from metaplan.recipes import load_recipe
from metaplan.reports import load_results, results_table

__all__ = ["tune"]

Until = Annotated[
    Literal["demonstrate", "sft", "eto", "evaluate", "report"],
    Parameter(help="The last stage to do."),
]


def tune(
    recipe: Recipe = None,
    *,
    out: Out,
    settings: Settings = (),
    until: Until = "report",
    dry_run: Annotated[bool, Parameter(help="Only say what would be done.", negative=())] = False,
) -> None:
    """Train an agent: SFT on experts' trajectories, then DPO against its own failures.

    These are the "agents with training" of the paper's Table 2: AgentTuning (SFT) and ETO (DPO on
    whole episodes). Stages: experts demonstrate the training tasks, some with a plan beside them
    (demonstrate, which writes datasets/agent_sft.jsonl); the agent learns that (sft, which gives
    agents/sft); where the recipe has tuning.eto, it plays the tasks and learns from what it earned
    less in (eto: datasets/agent_eto.jsonl, agents/eto); then it is measured without plans and gets
    a model card.

    Give the same command again to go on after an interruption; without RECIPE the run in --out
    goes on as it was configured.

    `metaplan tune household-agent --out runs/agent`: a small agent from nothing, on a laptop.

    `metaplan tune my-agent.yaml --out runs/llm`: a recipe of your own, for a model from the Hugging
    Face Hub (docs/agents.md has one).

    `metaplan run household-demo --out runs/mpo --set agent.path=runs/agent/agents/sft`: MPO with
    the agent that was trained.
    """
    config = load_recipe(recipe, settings) if recipe else None
    if dry_run:
        print_dry_run(config, out)
        return
    console = messages()
    console.print(f"run directory: {out}", markup=False, highlight=False, soft_wrap=True)
    run_tune(config, out, TerminalProgress(console), until=until)
    if until not in {"evaluate", "report"}:
        print_status(out)
        return
    results().print(results_table(load_results(out)))
    agents = [path for path in (out / "agents" / "sft", out / "agents" / "eto") if path.is_dir()]
    for agent in agents:
        results().print(
            f"agent: {agent} (play it with --set agent.model=local --set agent.path={agent})",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )
