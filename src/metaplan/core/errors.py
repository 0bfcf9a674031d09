"""Errors that callers can act on.

A `UserError` is shown to the person as one message, without a traceback, and ends the command
with exit code 2. A fault (`EnvironmentFault`, `ModelFault`) voids one episode with its cause.
"""

from __future__ import annotations

__all__ = [
    "ConfigError",
    "ContextLimitError",
    "DataError",
    "EnvironmentFault",
    "EpisodeCancelled",
    "MetaplanError",
    "MissingDependencyError",
    "ModelFault",
    "PlanParseError",
    "RunError",
    "UserError",
]


class MetaplanError(Exception):
    """Base of every error that Metaplan raises on purpose."""


class UserError(MetaplanError):
    """Something that the person can put right; the message names what and how."""


class ConfigError(UserError):
    """A configuration value is wrong: the message names the field and what would be right."""


class DataError(UserError):
    """A file or dataset is missing or malformed: the message names the file and line."""


class RunError(UserError):
    """A run directory can't be used: locked, of another configuration, or damaged."""


class MissingDependencyError(UserError):
    """An optional package is needed and absent.

    Args:
        package: The import name that failed.
        extra: The extra of Metaplan that brings it.
    """

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(
            f"This needs the package '{package}', which is not installed. "
            f"Install it with: pip install 'metaplan[{extra}]'"
        )


class PlanParseError(MetaplanError):
    """A completion holds no readable meta plan."""


class EnvironmentFault(MetaplanError):
    """An environment broke (not the agent's doing): the episode is void."""


class EpisodeCancelled(EnvironmentFault):
    """An episode was cut off through no fault of its own, such as another's on its worker."""


class ModelFault(MetaplanError):
    """A model could not answer (outage, time-out, garbage): the episode is void."""


class ContextLimitError(MetaplanError):
    """The conversation no longer fits the model: the episode ends with `context_limit`."""
