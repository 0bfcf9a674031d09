"""Public hosts are asked through the `openai` SDK: the same faults, read from its errors."""

import asyncio

import pytest
from openai_server import FAULTS, error

from metaplan.core import ContextLimitError, ModelFault, UserError
from metaplan.models import Sampling
from metaplan.models.served.connection import Connection
from metaplan.models.served.direct import Direct
from metaplan.models.served.sdk import SDK

HELLO = [{"role": "user", "content": "Your task is to: look."}]


@pytest.fixture
def by_sdk(monkeypatch):
    """The servers of this test are taken for public ones."""
    monkeypatch.setattr("metaplan.models.served.connection.is_private", lambda _: False)


@pytest.mark.parametrize(
    ("url", "wire"),
    [
        ("http://127.0.0.1:8000/v1", Direct),
        ("http://gpu-node-3:8000/v1", Direct),
        ("https://gpu-node-3:8000/v1", SDK),
        ("https://api.openai.com/v1", SDK),
        ("http://example.org/v1", SDK),
    ],
)
async def test_what_needs_tls_or_proxies_goes_through_the_sdk(url, wire):
    connection = Connection(url, "key", 1.0)
    assert type(connection._wire) is wire
    await connection.close()


async def test_it_answers_with_the_same_request(serve, client_of, by_sdk, monkeypatch):
    monkeypatch.setenv("SOME_KEY", "token")
    server = serve()
    sampling = Sampling(temperature=0.7, seed=1, stop=("\nObservation:",))
    [completion] = await client_of(server, api_key_env="SOME_KEY").complete(HELLO, sampling)
    assert completion.text == "Thought: I look.\nAction: look"
    monkeypatch.undo()
    monkeypatch.setenv("SOME_KEY", "token")
    await client_of(server, api_key_env="SOME_KEY").complete(HELLO, sampling)
    first, second = server.requests
    assert first == second
    kept = ("authorization", "content-type", "accept")
    assert [[one[name] for name in kept] for one in server.headers] == [
        ["Bearer token", "application/json", "application/json"]
    ] * 2


@pytest.mark.parametrize("name", FAULTS)
async def test_a_passing_fault_is_tried_again(serve, client_of, by_sdk, no_waits, name):
    server = serve(fault=lambda number, _: FAULTS[name] if number == 0 else None)
    model = client_of(server, timeout_s=1.5)
    assert await model.complete(HELLO, Sampling())
    assert (len(server.requests), model.usage.faults) == (2, 1)


@pytest.mark.parametrize(
    ("refusal", "kind"),
    [
        (error(401, "wrong"), UserError),
        (error(400, "roles must alternate"), ModelFault),
        (error(400, "maximum context length is 9 tokens"), ContextLimitError),
    ],
)
async def test_refusals_are_understood(serve, client_of, by_sdk, refusal, kind):
    server = serve(fault=lambda *_: refusal)
    with pytest.raises(kind):
        await client_of(server).complete(HELLO, Sampling())
    assert len(server.requests) == 1


async def test_nobody_at_the_port_is_a_fault(client_of, by_sdk):
    with pytest.raises(ModelFault, match="no connection"):
        await client_of("http://127.0.0.1:9/v1", attempts=1).complete(HELLO, Sampling())


async def test_more_connections_than_the_sdk_would_keep(serve, client_of, by_sdk):
    model = client_of(serve())
    for _ in range(2):
        requests = (model.complete(HELLO, Sampling()) for _ in range(150))
        assert len(await asyncio.gather(*requests)) == 150
