"""The follower in ALFWorld and household games: rooms full of receptacles."""

from metaplan.models.follower.alfworld.player import AlfworldPlayer

__all__ = ["AlfworldPlayer"]
