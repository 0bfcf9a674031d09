"""Servers on loopback and clients for them."""

import contextlib

import pytest
from openai_server import OpenAIServer

from metaplan.models import ServedModel, ServedSettings


@pytest.fixture
def serve():
    """Starts servers, which end with the test."""
    with contextlib.ExitStack() as servers:
        yield lambda *arguments, **options: servers.enter_context(
            OpenAIServer(*arguments, **options)
        )


@pytest.fixture
async def client_of():
    """Makes clients of servers or URLs, which are closed with the test."""
    async with contextlib.AsyncExitStack() as clients:

        def make(*servers, **settings):
            urls = tuple(getattr(server, "url", server) for server in servers)
            model = ServedModel(ServedSettings(**{"model": "test", "urls": urls, **settings}))
            clients.push_async_callback(model.close)
            return model

        yield make


@pytest.fixture
def no_waits(monkeypatch):
    """Retries come at once: for tests of what is retried, not of when."""
    monkeypatch.setattr("metaplan.models.served.waits._FIRST_WAIT_S", 0.001)
