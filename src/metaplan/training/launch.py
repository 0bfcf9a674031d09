"""Training in processes of its own, by `accelerate launch`: one GPU, several, FSDP, DeepSpeed.

The processes get their job as a JSON file, print what they have to tell as JSON lines among their
other output, and end with the process that waits for them, however that ends.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any, cast

from metaplan.core import ConfigError, DataError, MetaplanError, MissingDependencyError, UserError
from metaplan.training.job import TrainingJob
from metaplan.training.result import OnLog

__all__ = ["TrainingProcessError", "accelerate_file", "built_in_accelerate", "launch"]

_LINES_SHOWN = 20
_GRACE_S = 30.0
_ERRORS = {"ConfigError": ConfigError, "DataError": DataError, "UserError": UserError}


class TrainingProcessError(MetaplanError):
    """A training process broke; the message has what it said last, and where its log is."""


def built_in_accelerate() -> list[str]:
    """Names of the configurations of ``accelerate launch`` that come with the package."""
    return sorted(path.stem for path in _directory().glob("*.yaml"))


def accelerate_file(accelerate: str) -> Path:
    """The configuration file of a built-in name, or of a path.

    Raises:
        ConfigError: There is no such file.
    """
    built_in = _directory() / f"{accelerate}.yaml"
    path = built_in if built_in.is_file() else Path(accelerate)
    if not path.is_file():
        raise ConfigError(
            f"there is no configuration of accelerate '{accelerate}'. Built in: "
            f"{', '.join(built_in_accelerate())}; or give a file that 'accelerate config' made"
        )
    return path


def _directory() -> Path:
    return Path(str(resources.files("metaplan.training"))) / "accelerate"


def launch(job: TrainingJob, accelerate: str, on_log: OnLog | None) -> None:
    """Runs a training under ``accelerate launch`` and waits for its end.

    Beside the model's directory it leaves ``<out>.job.json``, the job, and ``<out>.log``, all that
    the processes wrote. Ctrl-C, or the end of this process for whatever reason, ends them.

    Args:
        job: What to train.
        accelerate: See `accelerate_file`.
        on_log: Called after every update with its entry of the curve, and ``total_steps``.

    Raises:
        UserError: Something in the job is wrong: the message of the process that found it.
        TrainingProcessError: A process broke or was killed.
    """
    config = accelerate_file(accelerate)
    if find_spec("accelerate") is None:
        raise MissingDependencyError("accelerate", "train")
    job.out.parent.mkdir(parents=True, exist_ok=True)
    job_file = job.out.with_name(job.out.name + ".job.json")
    log_file = job.out.with_name(job.out.name + ".log")
    job_file.write_text(job.model_dump_json(indent=1) + "\n", "utf-8")
    command = [
        *(sys.executable, "-m", "accelerate.commands.launch", "--config_file", str(config)),
        *("--module", "metaplan.training", str(job_file), "--end-with-parent"),
    ]
    tail: deque[str] = deque(maxlen=_LINES_SHOWN)
    problem: dict[str, Any] = {}
    killed = False
    with (
        log_file.open("a", encoding="utf-8", buffering=1) as log,
        _started(command) as (process, output),
    ):
        for line in output:
            log.write(line)
            match _told(line):
                case {"event": "update", **entry}:
                    if on_log is not None:
                        on_log(entry)
                case {"event": "problem"} as told:
                    problem = problem or told  # what follows from it comes later
                case _:
                    tail.append(line)
                    killed = killed or "SIGKILL" in line
        code = process.wait()
    if problem.get("kind") in _ERRORS:
        raise _ERRORS[problem["kind"]](problem["message"])
    if code != 0:
        said = problem.get("message") or "".join(tail).rstrip()
        if killed:  # then the others complain that it no longer answers
            said = f"a process was killed (SIGKILL), as happens when memory runs out\n{said}"
        raise TrainingProcessError(
            f"the training of {job.out} broke off; the same command goes on from its last "
            f"checkpoint. All that it wrote is in {log_file}; it ended with:\n{said}"
        )


def _told(line: str) -> dict[str, Any]:
    """What a line tells; empty where it is ordinary output."""
    if not line.startswith('{"event"'):
        return {}
    try:
        told = json.loads(line)
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


@contextmanager
def _started(command: list[str]) -> Iterator[tuple[subprocess.Popen[str], IO[str]]]:
    """A process and its output; neither it nor what it starts outlives the block.

    They all hold a pipe as their standard input and end when it is closed, which also happens when
    this process is killed. In a session of their own, they don't see Ctrl-C.
    """
    process = subprocess.Popen(  # noqa: S603  (a list of arguments, no shell)
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        start_new_session=True,
    )
    pipe, output = cast(IO[str], process.stdin), cast(IO[str], process.stdout)
    try:
        yield process, output
    finally:
        pipe.close()
        try:
            process.wait(_GRACE_S)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            output.close()
