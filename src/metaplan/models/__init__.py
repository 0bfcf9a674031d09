"""Chat models: the contract and its implementations.

`LocalModel`, `PlanFollower` and `ServedModel` are imported on first use: the first needs the extra
``train``.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from metaplan.models.contract import ChatModel, Completion, Message, Sampling, Usage, cut_at_stop

if TYPE_CHECKING:
    from metaplan.models.follower import FollowerSettings, PlanFollower
    from metaplan.models.local import LocalModel
    from metaplan.models.scripted import ScriptedModel
    from metaplan.models.served import SERVED_OPERATIONAL, ServedModel, ServedSettings, ServedUsage

__all__ = [
    "SERVED_OPERATIONAL",
    "ChatModel",
    "Completion",
    "FollowerSettings",
    "LocalModel",
    "Message",
    "PlanFollower",
    "Sampling",
    "ScriptedModel",
    "ServedModel",
    "ServedSettings",
    "ServedUsage",
    "Usage",
    "cut_at_stop",
    "weights_digest",
]

_HOMES = {
    "FollowerSettings": "follower",
    "LocalModel": "local",
    "PlanFollower": "follower",
    "SERVED_OPERATIONAL": "served",
    "ScriptedModel": "scripted",
    "ServedModel": "served",
    "ServedSettings": "served",
    "ServedUsage": "served",
    "weights_digest": "local",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
