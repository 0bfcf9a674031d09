"""Requests and replies of the chat-completions protocol, as our side writes and reads them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from metaplan.models.contract import Completion, Message, Sampling, Usage, cut_at_stop
from metaplan.models.served.faults import Remedy, RequestFault, names_context_limit
from metaplan.models.served.settings import ServedSettings

__all__ = [
    "Reply",
    "RequestForm",
    "completions_of",
    "dispensable",
    "read_reply",
    "request_body",
]

_MOST_STOPS = 4  # OpenAI takes no more; all of them are checked on our side
_SHOWN = 200


class RequestForm:
    """What a server does not take, as its refusals told.

    Attributes:
        without: Parameters that it refused. ``max_tokens`` is then called
            ``max_completion_tokens``, stop strings are applied on our side alone, several
            completions are asked for one by one, and draws are not seeded.
    """

    def __init__(self) -> None:
        self.without: set[str] = set()

    @property
    def draws_many(self) -> bool:
        """Whether one request gives several completions."""
        return "n" not in self.without

    def fit(self, body: dict[str, Any]) -> dict[str, Any]:
        """The same request as this server takes it."""
        fitted = {name: value for name, value in body.items() if name not in self.without}
        if "max_tokens" in body.keys() & self.without:
            fitted["max_completion_tokens"] = body["max_tokens"]
        return fitted


def request_body(
    settings: ServedSettings, messages: Sequence[Message], sampling: Sampling, seed: int | None
) -> dict[str, Any]:
    """A request for one completion, but for the messages."""
    body: dict[str, Any] = {"model": settings.model, "max_tokens": sampling.max_tokens}
    if settings.send_temperature:
        body |= {"temperature": sampling.temperature, "top_p": sampling.top_p}
    if sampling.stop:
        body["stop"] = list(sampling.stop[:_MOST_STOPS])
    if seed is not None:
        body["seed"] = seed
    if messages[-1]["role"] == "assistant":
        body |= {"continue_final_message": True, "add_generation_prompt": False}
    return body | settings.extra_body


def dispensable(body: dict[str, Any]) -> set[str]:
    """Parameters of a request that can be left out, or said otherwise, and mean the same."""
    neutral = {"top_p"} if body.get("top_p") == 1.0 else set()
    return body.keys() & ({"max_tokens", "stop", "seed", "n"} | neutral)


class _Said(BaseModel):
    content: str | None = None
    refusal: str | None = None


class _Choice(BaseModel):
    message: _Said
    finish_reason: str | None = None


class _Counted(BaseModel):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class Reply(BaseModel):
    """A response's body, as far as it is read; servers add fields of their own."""

    choices: list[_Choice] = []
    usage: _Counted | None = None
    error: Any = None

    @property
    def counted(self) -> Usage:
        """Tokens of all choices together; 0 where the server does not count."""
        usage = self.usage or _Counted()
        return Usage(
            prompt_tokens=usage.prompt_tokens or 0, completion_tokens=usage.completion_tokens or 0
        )


def read_reply(content: bytes) -> Reply:
    """Reads a response's body.

    Raises:
        RequestFault: It is no reply with at least one usable choice.
    """
    if not content.strip():
        raise RequestFault("an empty body", Remedy.RETRY, status=200)
    try:
        reply = Reply.model_validate_json(content)
    except ValidationError as error:
        shown = content[:_SHOWN].decode("utf-8", "replace")
        what = error.errors(include_url=False, include_input=False)[0]["msg"]
        raise RequestFault(f"garbage ({what}): {shown!r}", Remedy.RETRY, status=200) from None
    if reply.error or not reply.choices:
        what = f"a reply without choices: {content[:_SHOWN].decode('utf-8', 'replace')!r}"
        remedy = Remedy.SHORTEN if names_context_limit(str(reply.error)) else Remedy.RETRY
        raise RequestFault(what, remedy, status=200)
    for choice in reply.choices:
        _check(choice)
    return reply


def _check(choice: _Choice) -> None:
    """Refuses a choice that is not what the model says."""
    reason, said = choice.finish_reason, choice.message
    if reason == "content_filter":
        raise RequestFault("the provider's content filter cut the reply", Remedy.NONE, status=200)
    if reason in {"tool_calls", "function_call"} and not said.content:
        raise RequestFault("a tool call in place of text", Remedy.NONE, status=200)
    if reason in {"abort", "error"}:
        raise RequestFault(f"a reply broken off ({reason})", Remedy.RETRY, status=200)
    # A reasoning model may use up all its tokens before it says anything ("length").
    if reason != "length" and said.content is None and said.refusal is None:
        raise RequestFault("a reply without content", Remedy.RETRY, status=200)


def completions_of(reply: Reply, wanted: int, stop: Sequence[str]) -> list[Completion]:
    """At most `wanted` completions; the tokens that were counted are shared among all choices."""
    counted = reply.counted
    share, rest = divmod(counted.completion_tokens, len(reply.choices))
    return [
        _completion(
            choice,
            stop,
            Usage(
                prompt_tokens=counted.prompt_tokens,
                completion_tokens=share + (at < rest),
            ),
        )
        for at, choice in enumerate(reply.choices[:wanted])
    ]


def _completion(choice: _Choice, stop: Sequence[str], usage: Usage) -> Completion:
    said = choice.message.content
    whole = (choice.message.refusal or "") if said is None else said
    text = cut_at_stop(whole, stop)
    ended = text != whole or choice.finish_reason != "length"
    return Completion(text=text, finish_reason="stop" if ended else "length", usage=usage)
