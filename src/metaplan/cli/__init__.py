"""The command line: one file per verb."""

from __future__ import annotations

import sys

from cyclopts import App
from rich.console import Console

from metaplan import __version__
from metaplan.cli.data import app as data_app
from metaplan.cli.demo import demo
from metaplan.cli.envs import app as envs_app
from metaplan.cli.plan import plan
from metaplan.cli.run import run
from metaplan.cli.show import show
from metaplan.cli.stages import add_to
from metaplan.cli.status import status
from metaplan.core import UserError

__all__ = ["app", "main"]

app = App(
    name="metaplan",
    version=__version__,
    help=(
        "Meta Plan Optimization: train a small planner whose plans make LLM agents better.\n\n"
        "Start with `metaplan demo`. A run lives in one directory: an interrupted one goes on when "
        "the same command is given again."
    ),
)
app.command(demo)
app.command(run)
add_to(app)
app.command(status)
app.command(show)
app.command(plan)
app.command(data_app)
app.command(envs_app)

INTERRUPTED = 130


def main() -> None:
    """Entry point: bad input ends with one message and exit code 2, never a traceback."""
    console = Console(stderr=True)
    try:
        app()
    except UserError as error:
        console.print("error:", style="bold red", end=" ")
        console.print(str(error), markup=False, highlight=False)
        sys.exit(2)
    except KeyboardInterrupt:
        console.print(
            "interrupted: what is finished is saved; the same command goes on from here",
            style="yellow",
        )
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        sys.exit(0)
