"""What went wrong with a request, and what can be done about it."""

from __future__ import annotations

import re
from collections.abc import Collection
from enum import Enum, auto
from typing import Any

from metaplan.models.served.waits import retry_after_s

__all__ = ["Remedy", "RequestFault", "fault_of", "names_context_limit", "refused_parameter"]

_SHOWN = 300

# Every wording below is one server's: OpenAI and those that copy it; vLLM; SGLang; llama.cpp and
# llama-cpp-python; Ollama; Text Generation Inference; Anthropic's and Google's compatible APIs.
_CONTEXT_LIMIT = re.compile(
    r"context_length_exceeded|exceed_context_size|maximum context length|maximum model length"
    r"|longer than the (?:maximum )?model'?s? (?:context )?length"
    r"|exceeds? (?:the )?(?:available |model'?s? |maximum )?context (?:size|window|length|limit)"
    r"|input length \(?\d* ?(?:tokens)?\)? ?exceeds|input length exceeds|prompt is too long"
    r"|`inputs` (?:tokens \+ `max_new_tokens` must be|must have less than)"
    r"|input token count .{0,40}exceeds the maximum",
    re.IGNORECASE,
)
_REFUSAL = re.compile(
    r"unsupported|not support|unrecognized|unknown|unexpected|extra_forbidden|extra inputs"
    r"|not permitted|not allowed|cannot both|only one completion",
    re.IGNORECASE,
)


class Remedy(Enum):
    """What can be done after a failed request."""

    RETRY = auto()
    """It may work again by itself: outages, limits of rate, garbage."""
    PERSON = auto()
    """A person has to put it right: a wrong key, a wrong name, no money."""
    SHORTEN = auto()
    """The conversation does not fit the model."""
    NONE = auto()
    """The server will refuse this request each time."""


class RequestFault(Exception):
    """One request came to nothing.

    Attributes:
        what: What happened, in words.
        remedy: What can be done.
        status: HTTP status; None where there was no response.
        retry_after: Seconds that the server asks to be left alone.
    """

    def __init__(
        self,
        what: str,
        remedy: Remedy,
        *,
        status: int | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(what)
        self.what = what
        self.remedy = remedy
        self.status = status
        self.retry_after = retry_after

    @property
    def blames_endpoint(self) -> bool:
        """Whether it says that the server is ill: no limit of rate does, and no fault of ours."""
        return self.remedy is Remedy.RETRY and self.status != 429


def fault_of(error: Exception, timeout_s: float) -> RequestFault:
    """Reads an error of the SDK: of the connection, or a response with an error's status."""
    import openai

    if isinstance(error, openai.APIStatusError):
        said = _message(error.body) or error.response.text
        return _refused(
            error.status_code,
            " ".join(said.split())[:_SHOWN],
            str(error.code or error.type or ""),
            retry_after_s(error.response.headers),
        )
    if isinstance(error, TimeoutError | openai.APITimeoutError):
        return RequestFault(f"no answer within {timeout_s:g} s", Remedy.RETRY)
    cause = error.__cause__ or error
    return RequestFault(f"no connection ({type(cause).__name__}: {cause})", Remedy.RETRY)


def _refused(status: int, said: str, code: str, retry_after: float | None) -> RequestFault:
    what = f"HTTP {status}: {said or 'without a message'}"
    if status == 429 and code == "insufficient_quota":
        remedy = Remedy.PERSON
    elif status in {408, 409, 425, 429}:
        remedy = Remedy.RETRY
    elif names_context_limit(f"{code} {said}"):
        remedy = Remedy.SHORTEN
    elif status in {401, 402, 403, 404}:
        remedy = Remedy.PERSON
    else:
        remedy = Remedy.RETRY if status >= 500 else Remedy.NONE
    return RequestFault(what, remedy, status=status, retry_after=retry_after)


def names_context_limit(text: str) -> bool:
    """Whether an error's text, in one of the servers' wordings, says that the chat is too long."""
    return _CONTEXT_LIMIT.search(text) is not None


def refused_parameter(fault: RequestFault, sent: Collection[str]) -> str | None:
    """Which of the sent parameters a server does not take; None where that is not the trouble.

    Args:
        fault: A refusal that was not about the conversation's length.
        sent: Names of the parameters that one can do without.
    """
    if fault.status not in {400, 422, 501} or not _REFUSAL.search(fault.what):
        return None
    if "only one completion" in fault.what.lower():  # llama.cpp
        return "n" if "n" in sent else None
    quoted = re.findall(r"['\"`](?:body\.)?(\w+)['\"`]", fault.what)
    return next((name for name in quoted if name in sent), None)


def _message(body: Any) -> str:
    """The words in an error's body: OpenAI's form, FastAPI's (`detail`), or a plain string."""
    match body:
        case {"error": dict() | str() as inner}:
            return _message(inner)
        case {"message": str(text)} | {"detail": str(text)} | str(text):
            return text
        case {"detail": list(details)}:
            return "; ".join(str(detail) for detail in details)
        case _:
            return ""
