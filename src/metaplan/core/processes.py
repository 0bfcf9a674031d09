"""What is the same of all child processes: how one is started, how one ended, where it may run."""

from __future__ import annotations

import os
import signal
import sys

__all__ = ["child_command", "how_it_ended", "usable_cores"]


def child_command(module: str, descriptor: int) -> list[str]:
    """The command that runs a module's `main` in a process that inherits a socket of a number."""
    return [
        sys.executable,
        "-P",  # what lies in the current directory is no package
        "-c",
        f"from {module} import main; main()",
        str(descriptor),
    ]


def how_it_ended(code: int) -> str:
    """A process's exit code in words; below 0 it is the signal's number."""
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


def usable_cores() -> int:
    """Those that this process may use, by its affinity."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
