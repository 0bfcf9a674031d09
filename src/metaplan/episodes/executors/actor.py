"""The inside of a Ray worker."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from metaplan import __version__
from metaplan.core import UserError
from metaplan.environments import get_benchmark
from metaplan.episodes.host import EnvironmentHost

__all__ = ["EnvironmentActor", "Facts", "facts_of"]

Facts = Callable[[], dict[str, str]]


class EnvironmentActor:
    """Answers requests; Ray's list of processes shows this name."""

    def __init__(self, environment: Mapping[str, str], path: Sequence[str]) -> None:
        # Ctrl-C may reach a Ray that was started here; the driver decides when workers end.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        for name, value in environment.items():
            os.environ.setdefault(name, value)  # a node's own data directory comes first
        sys.path[:0] = [entry for entry in path if entry not in sys.path]
        self._host = EnvironmentHost()

    def check(self, facts: Facts) -> tuple[int, str, dict[str, str] | str]:
        """Process id, node, and the facts there; or what is missing there, in words."""
        from ray.util import get_node_ip_address

        try:
            found: dict[str, str] | str = facts()
        except UserError as error:
            found = str(error)
        return os.getpid(), get_node_ip_address(), found

    def answer(self, operation: str, arguments: tuple[Any, ...]) -> tuple[bool, Any]:
        """See `EnvironmentHost.answer`."""
        return self._host.answer(operation, arguments)


def facts_of(benchmark: str, task_sets: Sequence[str]) -> dict[str, str]:
    """What must be the same on every machine."""
    facts = {"metaplan": __version__}
    for task_set in task_sets:
        found = get_benchmark(benchmark).fingerprint(task_set)
        facts |= {f"{task_set}: {name}": value for name, value in found.items()}
    return facts
