"""The stages of MPO by name: each does what it needs and is missing, and stops after itself."""

from __future__ import annotations

from collections.abc import Callable

from cyclopts import App

from metaplan.cli.run import Out, Recipe, Settings, do
from metaplan.recipes import load_recipe

__all__ = ["add_to"]

_STAGES = {
    "collect": "Collect seed plans from expert trajectories (paper, section 3.1).",
    "sft": "Fine-tune the planner on the seed plans (section 3.1).",
    "sample": "Sample M plans for each explored task (section 3.2).",
    "explore": "Play N episodes with each plan and score it (section 3.2).",
    "dpo": "Build preference pairs and optimize the planner; train RFT's as well (section 3.3).",
    "evaluate": "Compare no plan, SFT, RFT and MPO on the recipe's splits (section 4).",
    "report": "Write the run's report: HTML, Markdown, JSON.",
}


def add_to(app: App) -> None:
    """Registers one command per stage."""
    for name, help_text in _STAGES.items():
        app.command(_command(name), name=name, help=f"{help_text}\n\n{_GOES_ON}")


_GOES_ON = (
    "Earlier stages that are missing are done first. Without RECIPE the run in --out goes on as it "
    "was configured."
)


def _command(name: str) -> Callable[..., None]:
    def stage(recipe: Recipe = None, *, out: Out, settings: Settings = ()) -> None:
        do(load_recipe(recipe, settings) if recipe else None, out, until=name)

    return stage
