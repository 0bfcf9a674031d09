"""What servers say when they refuse, and what we make of it."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai_server import Reply, chat_json, error

from metaplan.core import ContextLimitError, ModelFault, UserError
from metaplan.models import Sampling
from metaplan.models.served.faults import names_context_limit

HELLO = [{"role": "user", "content": "hi"}]

TOO_LONG = {
    "OpenAI": (
        400,
        "This model's maximum context length is 8192 tokens. However, your messages resulted in "
        "8227 tokens. Please reduce the length of the messages.",
    ),
    "OpenAI, responses wording": (400, "Your input exceeds the context window of this model."),
    "vLLM": (
        400,
        "This model's maximum context length is 16384 tokens. However, you requested 19591 tokens "
        "(9591 in the messages, 10000 in the completion).",
    ),
    "vLLM, max_tokens": (
        400,
        "'max_tokens' or 'max_completion_tokens' is too large: 256. This model's maximum context "
        "length is 128 tokens and your request has 10 input tokens",
    ),
    "vLLM, engine": (
        400,
        "The decoder prompt (length 17772) is longer than the maximum model length of 16384.",
    ),
    "vLLM, prompt": (
        400,
        "The prompt (total length 25938) is too long to fit into the model (context length 4096).",
    ),
    "SGLang": (
        400,
        "The input (61709 tokens) is longer than the model's context length (40960 tokens).",
    ),
    "SGLang, with completion": (
        400,
        "Requested token count exceeds the model's maximum context length of 202752 tokens.",
    ),
    "SGLang, memory": (
        400,
        "Input length (160062 tokens) exceeds the maximum allowed length (59862 tokens).",
    ),
    "llama.cpp": (400, "the request exceeds the available context size, try increasing it"),
    "llama.cpp, old": (500, "the request exceeds the available context size."),
    "llama-cpp-python": (400, "Requested tokens (2285) exceed context window of 2048"),
    "Ollama": (400, "the input length exceeds the context length"),
    "TGI": (
        422,
        "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 1512. Given: 1000 "
        "`inputs` tokens and 1024 `max_new_tokens`",
    ),
    "TGI, input": (422, "`inputs` must have less than 1024 tokens. Given: 1168"),
    "Anthropic": (400, "prompt is too long: 210000 tokens > 200000 maximum"),
    "Google": (
        400,
        "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
    ),
    "xAI": (400, "This model's maximum prompt length is 131072 but the request contains 537812."),
}


@pytest.mark.parametrize(("status", "wording"), TOO_LONG.values(), ids=TOO_LONG.keys())
async def test_a_conversation_that_is_too_long_is_recognised(serve, client_of, status, wording):
    server = serve(fault=lambda number, body: error(status, wording))
    with pytest.raises(ContextLimitError):
        await client_of(server).complete(HELLO, Sampling())
    assert len(server.requests) == 1


async def test_a_code_says_it_too(serve, client_of):
    for code in ("context_length_exceeded", "exceed_context_size_error"):
        server = serve(fault=lambda number, body, code=code: error(400, "no.", code=code))
        with pytest.raises(ContextLimitError):
            await client_of(server).complete(HELLO, Sampling())


async def test_a_gateway_that_says_it_with_status_200_is_understood(serve, client_of):
    body = {"error": {"message": "This model's maximum context length is 8192 tokens."}}
    with pytest.raises(ContextLimitError):
        await client_of(serve(fault=lambda number, _: Reply(body=body))).complete(HELLO, Sampling())


@pytest.mark.parametrize(
    "wording",
    [
        "max_tokens is too large: 100000. This model supports at most 16384 completion tokens",
        "Invalid 'messages[0].content': string too long.",
        "temperature must be non-negative, got -1.0",
        "Conversation roles must alternate user/assistant/user/assistant/...",
    ],
)
async def test_other_refusals_are_not_taken_for_it(serve, client_of, wording):
    with pytest.raises(ModelFault, match="HTTP 400"):
        await client_of(serve(fault=lambda *_: error(400, wording))).complete(HELLO, Sampling())


async def test_a_limit_of_tokens_per_minute_is_tried_again(serve, client_of, no_waits):
    wording = "Request too large for gpt-4o on tokens per min (TPM): Limit 30000, Requested 40000."
    server = serve(fault=lambda number, body: error(429, wording) if number == 0 else None)
    assert await client_of(server).complete(HELLO, Sampling())


@given(st.text(max_size=500))
def test_any_text_is_read_quickly(text):
    names_context_limit(text)
    names_context_limit("input length (" + text)


REFUSALS = {
    "max_tokens": (
        400,
        "Unsupported parameter: 'max_tokens' is not supported with this model. Use "
        "'max_completion_tokens' instead.",
    ),
    "stop": (400, "Unsupported parameter: 'stop' is not supported with this model."),
    "seed": (422, "Unexpected fields in the request: {'seed'}"),
    "n": (400, "Only one completion choice is allowed"),
    "top_p": (400, "`temperature` and `top_p` cannot both be specified for this model."),
}


@pytest.mark.parametrize("name", REFUSALS)
async def test_a_parameter_that_a_server_refuses_is_left_out_from_then_on(
    serve, client_of, caplog, name
):
    def refuses(number, body):
        return error(*REFUSALS[name]) if name in body else None

    server = serve(fault=refuses)
    model = client_of(server)
    sampling = Sampling(temperature=0.7, max_tokens=9, stop=("\nAction",), seed=1)
    for _ in range(3):
        completions = await model.complete(HELLO, sampling, n=2)
        assert [one.text for one in completions] == ["Thought: I look."] * 2
    assert sum(name in body for body in server.requests) == 1
    assert len([one for one in caplog.records if f"'{name}'" in one.message]) == 1
    if name == "max_tokens":
        assert server.requests[-1]["max_completion_tokens"] == 9


async def test_a_server_that_breaks_on_stop_strings_is_asked_without(serve, client_of, no_waits):
    server = serve(fault=lambda _, body: error(500, "oops") if "stop" in body else None)
    model = client_of(server)
    for _ in range(3):
        [completion] = await model.complete(HELLO, Sampling(stop=("\nAction",)))
        assert completion.text == "Thought: I look."
    assert ["stop" in body for body in server.requests] == [True, False, False, False]


async def test_a_passing_outage_is_not_blamed_on_stop_strings(serve, client_of, no_waits):
    server = serve(fault=lambda number, _: error(500, "oops") if 1 <= number <= 3 else None)
    model = client_of(server)
    for _ in range(3):
        await model.complete(HELLO, Sampling(stop=("\nAction",)))
    assert all("stop" in body for body in server.requests)


async def test_a_refusal_in_pydantic_s_form_is_understood(serve, client_of):
    detail = {"type": "extra_forbidden", "loc": ["body", "seed"], "msg": "Extra inputs"}
    refusal = Reply(422, {"object": "error", "message": {"detail": [detail]}})
    server = serve(fault=lambda number, body: refusal if "seed" in body else None)
    assert await client_of(server).complete(HELLO, Sampling(seed=1))


async def test_a_temperature_is_never_left_out_silently(serve, client_of):
    wording = "Unsupported value: 'temperature' does not support 0.7 with this model."

    def refuses(number, body):
        return error(400, wording) if "temperature" in body else None

    server = serve(fault=refuses)
    with pytest.raises(UserError, match="send_temperature: false"):
        await client_of(server).complete(HELLO, Sampling(temperature=0.7))
    model = client_of(server, send_temperature=False)
    assert await model.complete(HELLO, Sampling(temperature=0.7))
    assert "temperature" not in server.requests[-1]
    assert "top_p" not in server.requests[-1]
    assert model.fingerprint != client_of(server).fingerprint


async def test_a_nucleus_is_never_left_out_silently(serve, client_of):
    server = serve(fault=lambda number, body: error(*REFUSALS["top_p"]))
    with pytest.raises(UserError, match="send_temperature"):
        await client_of(server).complete(HELLO, Sampling(temperature=0.7, top_p=0.9))


def choice(**facts):
    message = {"role": "assistant", "content": facts.pop("content", None), **facts.pop("more", {})}
    return Reply(body={"choices": [{"index": 0, "message": message, **facts}]})


async def test_a_reply_of_thinking_alone_is_empty_and_said_once(serve, client_of, caplog):
    thinking = choice(finish_reason="length", more={"reasoning_content": "Hm."})
    model = client_of(serve(fault=lambda *_: thinking))
    for _ in range(2):
        [completion] = await model.complete(HELLO, Sampling(max_tokens=3))
        assert (completion.text, completion.finish_reason) == ("", "length")
    assert len(caplog.records) == 1


@pytest.mark.parametrize(
    ("reply", "text"),
    [
        (choice(finish_reason="stop", content=""), ""),
        (choice(finish_reason="stop", more={"refusal": "I can't."}), "I can't."),
        (choice(finish_reason="eos_token", content="a"), "a"),
        (choice(finish_reason=None, content="<think>b</think>a"), "<think>b</think>a"),
        (choice(finish_reason="tool_calls", content="a"), "a"),
    ],
)
async def test_what_the_model_says_is_kept_as_it_is(serve, client_of, reply, text):
    [completion] = await client_of(serve(fault=lambda *_: reply)).complete(HELLO, Sampling())
    assert completion.text == text
    assert completion.usage.prompt_tokens == 0  # this server does not count


@pytest.mark.parametrize(
    ("reply", "cause"),
    [
        (choice(finish_reason="content_filter", content="I"), "content filter"),
        (choice(finish_reason="tool_calls", more={"tool_calls": []}), "tool call"),
    ],
)
async def test_what_is_not_the_models_words_is_a_fault(serve, client_of, reply, cause):
    server = serve(fault=lambda *_: reply)
    with pytest.raises(ModelFault, match=cause):
        await client_of(server).complete(HELLO, Sampling())
    assert len(server.requests) == 1


async def test_a_reply_that_the_server_broke_off_is_asked_for_again(serve, client_of, no_waits):
    broken = choice(finish_reason="abort", content="Thou")
    server = serve(fault=lambda number, _: broken if number == 0 else None)
    [completion] = await client_of(server).complete(HELLO, Sampling())
    assert completion.text.startswith("Thought")


async def test_length_before_a_stop_string_is_length_and_after_it_is_stop(serve, client_of):
    reply = Reply(body=chat_json(["ab"], finish_reason="length"))
    model = client_of(serve(fault=lambda *_: reply))
    assert (await model.complete(HELLO, Sampling()))[0].finish_reason == "length"
    [cut] = await model.complete(HELLO, Sampling(stop=("b",)))
    assert (cut.text, cut.finish_reason) == ("a", "stop")


async def test_what_a_server_says_is_shown_as_one_short_line(serve, client_of):
    server = serve(fault=lambda *_: error(400, "\x1b[31mred\x1b[0m\n[bold]" + "x" * 9000))
    with pytest.raises(ModelFault) as fault:
        await client_of(server).complete(HELLO, Sampling())
    assert "HTTP 400: [31mred[0m [bold]xxx" in str(fault.value)
    assert len(str(fault.value)) < 400


async def test_a_key_that_a_server_repeats_is_not_shown(serve, client_of, monkeypatch):
    monkeypatch.setenv("SOME_KEY", "sk-secret-123")
    server = serve(fault=lambda *_: error(401, "no such key: sk-secret-123"))
    model = client_of(server, api_key_env="SOME_KEY")
    with pytest.raises(UserError) as refusal:
        await model.complete(HELLO, Sampling())
    assert server.headers[0]["authorization"] == "Bearer sk-secret-123"
    shown = (
        str(refusal.value)
        + repr(model)
        + repr(model.settings)
        + json.dumps(dict(model.fingerprint))
    )
    assert "sk-secret" not in shown
    assert "SOME_KEY" in shown
