"""Runs episodes at scale: worker processes, scheduling, retries, a durable store, exact resume."""

from metaplan.episodes.concurrency import for_each, retried
from metaplan.episodes.filesystem import is_network_mount
from metaplan.episodes.lock import RunningProcess, running_process
from metaplan.episodes.pool import EnvironmentPool, RemoteEnvironment
from metaplan.episodes.progress import Progress, SilentProgress, Tracker
from metaplan.episodes.repair import Repair, repair_database
from metaplan.episodes.retry import RetryPolicy
from metaplan.episodes.scheduler import EpisodeRunner, EpisodesDone
from metaplan.episodes.status import EpisodeSummary, Rates, RunStatus, SlowTask, VoidCause
from metaplan.episodes.store import RunStore

__all__ = [
    "EnvironmentPool",
    "EpisodeRunner",
    "EpisodeSummary",
    "EpisodesDone",
    "Progress",
    "Rates",
    "RemoteEnvironment",
    "Repair",
    "RetryPolicy",
    "RunStatus",
    "RunStore",
    "RunningProcess",
    "SilentProgress",
    "SlowTask",
    "Tracker",
    "VoidCause",
    "for_each",
    "is_network_mount",
    "repair_database",
    "retried",
    "running_process",
]
