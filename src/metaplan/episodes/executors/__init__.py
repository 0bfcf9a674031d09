"""Where environment workers run: processes of this machine."""

from metaplan.episodes.executors.contract import Executor, Worker
from metaplan.episodes.executors.local import LocalExecutor

__all__ = ["Executor", "LocalExecutor", "Worker"]
