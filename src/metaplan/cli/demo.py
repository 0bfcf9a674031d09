"""`metaplan demo`: MPO on household games, with nothing but this package."""

from __future__ import annotations

from pathlib import Path

from metaplan.cli.run import Out, Settings, do
from metaplan.recipes import load_recipe

__all__ = ["demo"]


def demo(*, out: Out = Path("runs/demo"), settings: Settings = ()) -> None:
    """Run all of MPO on household games, without GPU, key or network.

    A small planner is trained from nothing, by the rewards of a small agent that comes along.
    """
    do(load_recipe("household-demo", settings), out)
