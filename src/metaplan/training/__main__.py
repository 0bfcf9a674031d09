"""``accelerate launch … --module metaplan.training JOB``: one training, as one of its processes.

JOB is a JSON file; see `metaplan.training.job.TrainingJob`. Every update is printed as a JSON line
by the first process; the model goes where the job says.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import threading
import traceback
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from metaplan.core import ConfigError, DataError, UserError
from metaplan.training.job import TrainingJob
from metaplan.training.train import train

__all__ = ["main"]

_BAD_INPUT, _BROKEN = 2, 1


def main() -> int:
    """Runs the job; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m metaplan.training", description=__doc__)
    parser.add_argument("job", type=Path, help="JSON file: base, dataset, out, settings")
    parser.add_argument(
        "--end-with-parent", action="store_true", help="end when standard input is closed"
    )
    arguments = parser.parse_args()
    if arguments.end_with_parent:
        threading.Thread(target=_end_with_input, daemon=True).start()
    try:
        train(_read(arguments.job), on_log=lambda entry: _tell("update", **entry))
    except UserError as error:
        kind = next((kind for kind in (ConfigError, DataError) if isinstance(error, kind)), None)
        _tell("problem", kind=(kind or UserError).__name__, message=str(error))
        return _BAD_INPUT
    except Exception as error:
        traceback.print_exc()
        _tell("problem", kind="fault", message=f"{type(error).__name__}: {error}")
        return _BROKEN
    return 0


def _read(path: Path) -> TrainingJob:
    try:
        return TrainingJob.model_validate_json(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, ValidationError) as error:
        raise DataError(f"{path} is no job of a training: {error}") from error


def _tell(event: str, **facts: Any) -> None:
    """One line in one write, so that lines of several processes don't mix."""
    sys.stdout.write(json.dumps({"event": event, **facts}) + "\n")
    sys.stdout.flush()


def _end_with_input() -> None:
    while os.read(sys.stdin.fileno(), 1024):  # unbuffered: the interpreter can end meanwhile
        pass
    os._exit(_BROKEN)


if __name__ == "__main__":
    sys.exit(main())
