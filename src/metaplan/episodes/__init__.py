"""Runs episodes at scale: worker processes, scheduling, retries, a durable store, exact resume."""

from metaplan.episodes.concurrency import for_each, retried
from metaplan.episodes.filesystem import is_network_mount
from metaplan.episodes.pool import EnvironmentPool, RemoteEnvironment
from metaplan.episodes.progress import Progress, SilentProgress, Tracker
from metaplan.episodes.retry import RetryPolicy
from metaplan.episodes.scheduler import EpisodeRunner, EpisodesDone
from metaplan.episodes.store import EpisodeSummary, RunStatus, RunStore

__all__ = [
    "EnvironmentPool",
    "EpisodeRunner",
    "EpisodeSummary",
    "EpisodesDone",
    "Progress",
    "RemoteEnvironment",
    "RetryPolicy",
    "RunStatus",
    "RunStore",
    "SilentProgress",
    "Tracker",
    "for_each",
    "is_network_mount",
    "retried",
]
