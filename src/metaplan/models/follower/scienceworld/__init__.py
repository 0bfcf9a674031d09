"""The follower in ScienceWorld: rooms full of things that can be handled, mixed and connected."""

from metaplan.models.follower.scienceworld.player import ScienceWorldPlayer

__all__ = ["ScienceWorldPlayer"]
