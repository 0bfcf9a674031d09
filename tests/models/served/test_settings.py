"""Where a model is served, and who is given which key."""

import pytest
from pydantic import ValidationError

from metaplan.core import ConfigError
from metaplan.models import SERVED_OPERATIONAL, Sampling, ServedModel, ServedSettings
from metaplan.models.served.settings import api_key_for, is_private

HELLO = [{"role": "user", "content": "hi"}]


def settings(**fields):
    return ServedSettings(**{"model": "m", **fields})


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost:8000/v1",
        "http://127.0.0.1/v1",
        "http://[::1]:8000/v1",
        "http://10.1.2.3/v1",
        "http://192.168.0.7/v1",
        "http://gpu-node-3:8000/v1",
        "http://vllm.internal/v1",
    ],
)
def test_private_hosts_need_no_key(url, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    assert is_private(url)
    assert api_key_for(url, settings(urls=(url,))) is None


@pytest.mark.parametrize("url", ["https://api.openai.com/v1", "http://8.8.8.8/v1"])
def test_public_hosts_without_a_key_are_refused_before_any_work(url, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("SOME_KEY", raising=False)
    assert not is_private(url)
    with pytest.raises(ConfigError, match=f"OPENAI_API_KEY is not set, and {url}"):
        api_key_for(url, settings(urls=(url,)))
    with pytest.raises(ConfigError, match="SOME_KEY"):
        api_key_for(url, settings(urls=(url,), api_key_env="SOME_KEY"))


async def test_a_missing_key_is_an_error_each_time_the_model_is_asked(monkeypatch):
    monkeypatch.delenv("SOME_KEY", raising=False)
    model = ServedModel(settings(api_key_env="SOME_KEY"))
    for _ in range(2):
        with pytest.raises(ConfigError, match="SOME_KEY is not set"):
            await model.complete(HELLO, Sampling())


async def test_the_key_for_openai_does_not_go_to_private_hosts(serve, client_of, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-openai")
    monkeypatch.setenv("VLLM_API_KEY", "token")
    server = serve()
    await client_of(server).complete(HELLO, Sampling())
    await client_of(server, api_key_env="VLLM_API_KEY").complete(HELLO, Sampling())
    assert [one["authorization"] for one in server.headers] == ["Bearer none", "Bearer token"]


async def test_a_key_with_a_line_end_works_and_a_broken_one_is_not_shown(
    serve, client_of, monkeypatch
):
    monkeypatch.setenv("SOME_KEY", "token-1\n")
    server = serve()
    await client_of(server, api_key_env="SOME_KEY").complete(HELLO, Sampling())
    assert server.headers[0]["authorization"] == "Bearer token-1"
    for broken in ("tok\nen-1", "tökén-1"):
        monkeypatch.setenv("SOME_KEY", broken)
        with pytest.raises(ConfigError, match="SOME_KEY holds characters") as refusal:
            await client_of(server, api_key_env="SOME_KEY").complete(HELLO, Sampling())
        assert "en-1" not in str(refusal.value)


async def test_proxies_of_the_environment_are_not_for_private_hosts(serve, client_of, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    assert await client_of(serve(), attempts=1).complete(HELLO, Sampling())


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"urls": ["localhost:8000/v1"]}, "no base URL"),
        ({"urls": ["ftp://localhost/v1"]}, "no base URL"),
        ({"urls": ["http://user:secret@localhost/v1"]}, "keys don't belong into URLs"),
        ({"urls": ["http://localhost/v1", "http://localhost/v1/"]}, "named twice"),
        ({"urls": []}, "at least 1"),
        ({"model": ""}, "at least 1"),
        ({"extra_body": {"temperature": 1, "top_k": 5}}, "temperature: set by Metaplan itself"),
        ({"api_key": "sk-1"}, "api_key"),
        ({"extra_body": {"when": object()}}, "JSON"),
    ],
)
def test_wrong_settings_are_refused_in_words(fields, problem):
    with pytest.raises(ValidationError, match=problem):
        settings(**fields)


def test_the_fingerprint_holds_what_shapes_answers_and_nothing_else():
    plain = settings(urls=("http://localhost/v1",))
    reached_otherwise = settings(
        urls=("http://127.0.0.1:1/v1", "http://127.0.0.1:2/v1"),
        api_key_env="A",
        timeout_s=1.0,
        attempts=2,
        max_in_flight=3,
        can_continue=True,
    )
    assert ServedModel(reached_otherwise).fingerprint == ServedModel(plain).fingerprint
    shaping = {
        "model": "other",
        "send_temperature": False,
        "context_tokens": 100,
        "extra_body": {"reasoning_effort": "low"},
    }
    for name, value in shaping.items():
        other = ServedModel(plain.model_copy(update={name: value}))
        assert other.fingerprint != ServedModel(plain).fingerprint
    assert {*shaping, *SERVED_OPERATIONAL} == set(ServedSettings.model_fields)


async def test_more_fields_of_a_request_are_sent(serve, client_of):
    server = serve()
    await client_of(server, extra_body={"reasoning_effort": "low"}).complete(HELLO, Sampling())
    assert server.requests[0]["reasoning_effort"] == "low"


async def test_a_started_reply_is_continued_where_the_server_can(serve, client_of):
    server = serve()
    started = [*HELLO, {"role": "assistant", "content": "Thought: "}]
    with pytest.raises(ConfigError, match="'can_continue'"):
        await client_of(server).complete(started, Sampling())
    await client_of(server, can_continue=True).complete(started, Sampling())
    [body] = server.requests
    assert body["messages"] == started
    assert body["continue_final_message"] is True
    assert body["add_generation_prompt"] is False
