"""Chat models: the contract and its implementations.

`LocalModel` and `PlanFollower` are imported on first use: the first needs the extra ``train``.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from metaplan.models.contract import ChatModel, Completion, Message, Sampling, Usage, cut_at_stop

if TYPE_CHECKING:
    from metaplan.models.follower import FollowerSettings, PlanFollower
    from metaplan.models.local import LocalModel
    from metaplan.models.scripted import ScriptedModel

__all__ = [
    "ChatModel",
    "Completion",
    "FollowerSettings",
    "LocalModel",
    "Message",
    "PlanFollower",
    "Sampling",
    "ScriptedModel",
    "Usage",
    "cut_at_stop",
    "weights_digest",
]

_HOMES = {
    "FollowerSettings": "follower",
    "LocalModel": "local",
    "PlanFollower": "follower",
    "ScriptedModel": "scripted",
    "weights_digest": "local",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
