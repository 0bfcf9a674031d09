"""The follower in WebShop: pages of texts, a search, and buttons."""

from metaplan.models.follower.webshop.player import WebShopPlayer

__all__ = ["WebShopPlayer"]
