"""The shop in a browser, for people: the agent's pages as HTML, on this machine only."""

from metaplan.environments.webshop.website.serving import serve

__all__ = ["serve"]
