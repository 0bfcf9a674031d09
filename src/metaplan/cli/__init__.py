"""The command line: one file per verb."""

from __future__ import annotations

import os
import sys
from signal import SIGINT
from typing import NoReturn

from cyclopts import App, CycloptsError

from metaplan import __version__
from metaplan.cli.consoles import messages
from metaplan.cli.data import app as data_app
from metaplan.cli.demo import demo
from metaplan.cli.doctor import doctor
from metaplan.cli.envs import app as envs_app
from metaplan.cli.plan import plan
from metaplan.cli.repair import repair
from metaplan.cli.run import run
from metaplan.cli.show import show
from metaplan.cli.stages import add_to
from metaplan.cli.status import status
from metaplan.cli.tune import tune
from metaplan.core import MetaplanError, UserError
from metaplan.runs import Interrupted

__all__ = ["app", "main"]

app = App(
    name="metaplan",
    version=__version__,
    suppress_keyboard_interrupt=False,  # `main` says how to go on
    help=(
        "Meta Plan Optimization: train a small planner whose plans make LLM agents better.\n\n"
        "Start with `metaplan demo`. A run lives in one directory: an interrupted one goes on when "
        "the same command is given again."
    ),
)
app.command(demo)
app.command(run)
add_to(app)
app.command(tune)
app.command(status)
app.command(show)
app.command(repair)
app.command(doctor)
app.command(plan)
app.command(data_app)
app.command(envs_app)

_FAILED = 1
_BAD_INPUT = 2
_KILLED = 128  # by a signal: its number is added, as shells do


def main() -> None:
    """Entry point: bad input ends with one message and exit code 2, never a traceback."""
    try:
        app(exit_on_error=False, print_error=False, result_action="return_value")
        sys.stdout.flush()
    except UserError as error:
        _end(str(error), _BAD_INPUT)
    except CycloptsError as error:
        _end(f"{error} (metaplan --help lists commands and options)", _BAD_INPUT)
    except MetaplanError as error:
        _end(str(error), _FAILED)
    except BrokenPipeError:  # as in `metaplan status RUN | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        _end(f"{error.strerror or error}: {error.filename or ''}".rstrip(": "), _FAILED)
    except KeyboardInterrupt as interrupt:
        messages().print(
            "interrupted: what is finished is saved; the same command goes on from here",
            style="yellow",
        )
        sys.exit(_KILLED + (interrupt.signal if isinstance(interrupt, Interrupted) else SIGINT))


def _end(message: str, code: int) -> NoReturn:
    console = messages()
    console.print("error:", style="bold red", end=" ")
    console.print(message, markup=False, highlight=False, soft_wrap=True)
    sys.exit(code)
