"""Where environment workers run: processes of this machine, or actors of a Ray cluster."""

from metaplan.episodes.executors.contract import Executor, Worker
from metaplan.episodes.executors.local import LocalExecutor
from metaplan.episodes.executors.ray import RayExecutor, RaySettings

__all__ = ["Executor", "LocalExecutor", "RayExecutor", "RaySettings", "Worker"]
