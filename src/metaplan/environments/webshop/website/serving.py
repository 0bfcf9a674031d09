"""Serves a visit to a browser on this machine."""

from __future__ import annotations

import socket
from collections.abc import Callable

from metaplan.core import MissingDependencyError, UserError
from metaplan.environments.webshop.environment import LoadedGoal
from metaplan.environments.webshop.website.visit import Visit

__all__ = ["serve"]

_LOOPBACK = "127.0.0.1"


def serve(goal: LoadedGoal, step_limit: int, port: int, announce: Callable[[str], None]) -> None:
    """Serves a visit on the loopback address until Ctrl-C.

    Args:
        goal: What is to be bought.
        step_limit: Actions in a visit.
        port: 0 takes a free one.
        announce: Is told the address, as soon as it can be opened.

    Raises:
        MissingDependencyError: FastAPI, Jinja2 or uvicorn is absent.
        UserError: The port is taken.
    """
    try:
        import uvicorn

        from metaplan.environments.webshop.website.site import create_site
    except ModuleNotFoundError as error:
        raise MissingDependencyError(error.name or "fastapi", "webshop") from error
    try:
        listening = socket.create_server((_LOOPBACK, port))
    except (OSError, OverflowError) as error:
        raise UserError(f"can't listen on port {port}: {error}; name another by --port") from None
    with listening:
        announce(f"http://{_LOOPBACK}:{listening.getsockname()[1]}/")
        site = create_site(Visit(goal, step_limit))
        uvicorn.Server(uvicorn.Config(site, log_level="warning")).run(sockets=[listening])
