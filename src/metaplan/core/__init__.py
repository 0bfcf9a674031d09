"""Frozen records, keys and errors. No I/O; no third-party import but pydantic."""

from metaplan.core.errors import (
    ConfigError,
    ContextLimitError,
    DataError,
    EnvironmentFault,
    EpisodeCancelled,
    MetaplanError,
    MissingDependencyError,
    ModelFault,
    PlanParseError,
    RunError,
    UserError,
)
from metaplan.core.keys import digest, episode_key, seed_from
from metaplan.core.plans import END_MARKS, Dialect, MetaPlan, ends_that_repeat
from metaplan.core.processes import child_command, how_it_ended, usable_cores
from metaplan.core.record import Record
from metaplan.core.records import (
    Episode,
    EpisodeSpec,
    ExpertStep,
    ExpertTrajectory,
    Placement,
    PlanScore,
    PreferencePair,
    StopReason,
    Task,
    Turn,
)
from metaplan.core.templates import fill

__all__ = [
    "END_MARKS",
    "ConfigError",
    "ContextLimitError",
    "DataError",
    "Dialect",
    "EnvironmentFault",
    "Episode",
    "EpisodeCancelled",
    "EpisodeSpec",
    "ExpertStep",
    "ExpertTrajectory",
    "MetaPlan",
    "MetaplanError",
    "MissingDependencyError",
    "ModelFault",
    "Placement",
    "PlanParseError",
    "PlanScore",
    "PreferencePair",
    "Record",
    "RunError",
    "StopReason",
    "Task",
    "Turn",
    "UserError",
    "child_command",
    "digest",
    "ends_that_repeat",
    "episode_key",
    "fill",
    "how_it_ended",
    "seed_from",
    "usable_cores",
]
