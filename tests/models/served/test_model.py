"""The client against a real server on loopback."""

import asyncio

import pytest
from openai_server import FAULTS, Reply, chat_json, error

from metaplan.core import ContextLimitError, ModelFault, UserError
from metaplan.models import ChatModel, Sampling, ServedModel, ServedSettings

HELLO = [{"role": "user", "content": "Your task is to: look."}]
SLOW = ["time-out", "slow body"]
PASSING = [name for name in FAULTS if name not in SLOW]


def texts(completions):
    return [completion.text for completion in completions]


async def test_is_a_chat_model_that_answers_and_counts(serve, client_of):
    model = client_of(serve())
    assert isinstance(model, ChatModel)
    [completion] = await model.complete(HELLO, Sampling())
    assert completion.text == "Thought: I look.\nAction: look"
    assert completion.finish_reason == "stop"
    assert (completion.usage.prompt_tokens, completion.usage.completion_tokens) == (5, 5)
    await model.complete(HELLO, Sampling(), n=2)
    assert model.usage.model_dump() == {
        "requests": 2,
        "faults": 0,
        "prompt_tokens": 10,
        "completion_tokens": 15,
    }


async def test_sampling_is_sent_in_full(serve, client_of):
    server = serve()
    sampling = Sampling(temperature=0.7, top_p=0.9, max_tokens=7, stop=("a", "b"), seed=4)
    await client_of(server).complete(HELLO, sampling)
    [body] = server.requests
    assert body["model"] == "test"
    assert body["messages"] == HELLO
    assert (body["temperature"], body["top_p"], body["max_tokens"]) == (0.7, 0.9, 7)
    assert body["stop"] == ["a", "b"]
    assert 0 <= body["seed"] < 2**31
    assert "n" not in body


@pytest.mark.parametrize("name", PASSING)
async def test_a_passing_fault_is_tried_again(serve, client_of, no_waits, name):
    server = serve(fault=lambda number, body: FAULTS[name] if number < 2 else None)
    model = client_of(server)
    assert texts(await model.complete(HELLO, Sampling())) == ["Thought: I look.\nAction: look"]
    assert len(server.requests) == 3
    assert model.usage.faults == 2


@pytest.mark.parametrize("name", PASSING)
async def test_a_lasting_fault_is_a_model_fault_that_says_where_and_what(
    serve, client_of, no_waits, name
):
    server = serve(fault=lambda number, body: FAULTS[name])
    with pytest.raises(ModelFault, match="the last of 3 attempts") as fault:
        await client_of(server, attempts=3).complete(HELLO, Sampling())
    assert server.url in str(fault.value)
    assert "test at" in str(fault.value)
    assert len(server.requests) == 3


@pytest.mark.parametrize("name", SLOW)
async def test_a_server_that_takes_too_long_is_left(serve, client_of, no_waits, name):
    server = serve(fault=lambda number, body: FAULTS[name] if number == 0 else None)
    assert await client_of(server, timeout_s=0.5).complete(HELLO, Sampling())
    server.fault = lambda number, body: FAULTS[name]
    with pytest.raises(ModelFault, match=r"no answer within 0\.2 s .*last of 2"):
        await client_of(server, timeout_s=0.2, attempts=2).complete(HELLO, Sampling())


async def test_nobody_at_the_port_is_a_model_fault(client_of, no_waits):
    model = client_of("http://127.0.0.1:9/v1", attempts=2)
    with pytest.raises(ModelFault, match=r"http://127.0.0.1:9/v1: no connection .*last of 2"):
        await model.complete(HELLO, Sampling())


@pytest.mark.parametrize(
    ("refusal", "advice"),
    [
        (error(401, "wrong", code="invalid_api_key"), "OPENAI_API_KEY"),
        (error(403, "wrong"), "OPENAI_API_KEY"),
        (error(404, "wrong", code="model_not_found"), "'model' and 'urls'"),
        (error(429, "wrong", code="insufficient_quota"), "credit"),
    ],
)
async def test_what_a_person_must_put_right_is_said_at_once(serve, client_of, refusal, advice):
    server = serve(fault=lambda number, body: refusal)
    with pytest.raises(UserError, match="wrong") as told:
        await client_of(server).complete(HELLO, Sampling())
    assert advice in str(told.value)
    assert len(server.requests) == 1


async def test_another_refusal_is_a_fault_that_is_not_tried_again(serve, client_of):
    server = serve(fault=lambda number, body: error(400, "roles must alternate"))
    with pytest.raises(ModelFault, match="HTTP 400: roles must alternate"):
        await client_of(server).complete(HELLO, Sampling())
    assert len(server.requests) == 1


async def test_fewer_than_n_are_completed_one_by_one_and_remembered(serve, client_of):
    server = serve(most=1)
    model = client_of(server)
    assert len(await model.complete(HELLO, Sampling(seed=1), n=4)) == 4
    assert [body.get("n") for body in server.requests] == [4, None, None, None]
    assert len({body["seed"] for body in server.requests}) == 4
    server.requests.clear()
    assert len(await model.complete(HELLO, Sampling(seed=1), n=3)) == 3
    assert [body.get("n") for body in server.requests] == [None] * 3


async def test_more_than_n_are_cut(serve, client_of):
    server = serve(fault=lambda number, body: Reply(body=chat_json(["a", "b", "c"])))
    assert texts(await client_of(server).complete(HELLO, Sampling(), n=2)) == ["a", "b"]


async def test_stop_strings_count_where_the_server_ignores_them(serve, client_of):
    server = serve("Thought: x.\nAction: look\nObservation: made up", obeys_stop=False)
    [completion] = await client_of(server).complete(HELLO, Sampling(stop=("\nObservation:",)))
    assert completion.text == "Thought: x.\nAction: look"
    assert completion.finish_reason == "stop"


async def test_more_stop_strings_than_openai_takes_all_count(serve, client_of):
    server = serve("one two three")
    stop = ("a", "b", "c", "d", " three")
    [completion] = await client_of(server).complete(HELLO, Sampling(stop=stop))
    assert server.requests[0]["stop"] == list(stop[:4])
    assert completion.text == "one two"


async def test_turns_of_an_episode_have_seeds_of_their_own_that_come_back(serve, client_of):
    server = serve()
    model = client_of(server)
    longer = [*HELLO, {"role": "assistant", "content": "a"}, {"role": "user", "content": "b"}]
    for messages in (HELLO, longer, HELLO):
        await model.complete(messages, Sampling(seed=5), session="e")
    await model.complete(HELLO, Sampling())
    first, second, again, unseeded = [body.get("seed") for body in server.requests]
    assert first == again != second
    assert unseeded is None


async def test_context_limit_of_our_own_where_the_server_cuts_silently(serve, client_of):
    model = client_of(serve(), context_tokens=10)
    assert await model.complete(HELLO, Sampling(max_tokens=5))
    with pytest.raises(ContextLimitError, match="5 tokens and 6 new ones exceed 10"):
        await model.complete(HELLO, Sampling(max_tokens=6))


async def test_closed_client_refuses_and_closes_twice(serve):
    model = ServedModel(ServedSettings(model="test", urls=(serve().url,)))
    await model.complete(HELLO, Sampling())
    await model.close()
    await model.close()
    with pytest.raises(ModelFault, match="closed"):
        await model.complete(HELLO, Sampling())


async def test_a_client_closed_before_its_first_request_refuses(serve):
    model = ServedModel(ServedSettings(model="test", urls=(serve().url,)))
    await model.close()
    with pytest.raises(ModelFault, match="closed"):
        await model.complete(HELLO, Sampling())


async def test_requests_under_way_when_the_client_closes_end_as_faults(serve):
    server = serve(fault=lambda *_: FAULTS["time-out"])
    model = ServedModel(ServedSettings(model="test", urls=(server.url,), max_in_flight=2))
    requests = [asyncio.ensure_future(model.complete(HELLO, Sampling())) for _ in range(5)]
    while len(server.requests) < 2:
        await asyncio.sleep(0.01)
    await model.close()
    outcomes = await asyncio.wait_for(asyncio.gather(*requests, return_exceptions=True), 10)
    assert all(isinstance(outcome, ModelFault) for outcome in outcomes), outcomes


def test_one_client_serves_one_event_loop_after_another(serve):
    model = ServedModel(ServedSettings(model="test", urls=(serve().url,)))
    for _ in range(3):
        assert asyncio.run(model.complete(HELLO, Sampling()))
    asyncio.run(model.close())
