"""What went wrong with a request, and what can be done about it."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from enum import Enum, auto

from metaplan.models.served.waits import retry_after_s

__all__ = [
    "Remedy",
    "RequestFault",
    "names_context_limit",
    "no_answer",
    "no_connection",
    "refusal",
    "refused_parameter",
]

_SHOWN = 300

# Every wording below is one server's: OpenAI and those that copy it; vLLM; SGLang; llama.cpp and
# llama-cpp-python; Ollama; Text Generation Inference; Anthropic's and Google's compatible APIs.
_CONTEXT_LIMIT = re.compile(
    r"context_length_exceeded|exceed_context_size|maximum (?:context|model|prompt) length"
    r"|longer than the (?:maximum )?model'?s? (?:context )?length"
    r"|exceeds? (?:the )?(?:available |model'?s? |maximum )?context (?:size|window|length|limit)"
    r"|input length (?:\(\d+ tokens\) )?exceeds|input token count .{0,40}exceeds the maximum"
    r"|(?:prompt|input) (?:\([^)]{0,60}\) )?is too long|reduce the length of the"
    r"|`inputs` (?:tokens \+ `max_new_tokens` must be|must have less than)",
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
        said: The body of a refusal.
        retry_after: Seconds that the server asks to be left alone.
        timed_out: The server said nothing in time.
    """

    def __init__(
        self,
        what: str,
        remedy: Remedy,
        *,
        status: int | None = None,
        said: str = "",
        retry_after: float | None = None,
        timed_out: bool = False,
    ) -> None:
        super().__init__(what)
        self.what = what
        self.remedy = remedy
        self.status = status
        self.said = said
        self.retry_after = retry_after
        self.timed_out = timed_out

    @property
    def blames_endpoint(self) -> bool:
        """Whether it says that the server is ill: no limit of rate does, and no fault of ours."""
        return self.remedy is Remedy.RETRY and self.status != 429

    @property
    def tells_overload(self) -> bool:
        """Whether the server has, or may have, too much to do."""
        return self.timed_out or (self.remedy is Remedy.RETRY and self.status in {429, 503, 504})

    @property
    def tells_absence(self) -> bool:
        """Whether it is as if nobody were there: no connection, no answer, or a gateway says so."""
        return self.remedy is Remedy.RETRY and self.status in {None, 502, 503, 504}


def no_answer(timeout_s: float) -> RequestFault:
    """Nothing came back in time."""
    return RequestFault(f"no answer within {timeout_s:g} s", Remedy.RETRY, timed_out=True)


def no_connection(cause: BaseException) -> RequestFault:
    """There was no connection, or it was cut."""
    return RequestFault(f"no connection ({type(cause).__name__}: {cause})", Remedy.RETRY)


def refusal(status: int, said: str, headers: Mapping[str, str]) -> RequestFault:
    """Reads a response with an error's status.

    Args:
        status: 300 or more.
        said: Its body.
        headers: By names in lower case.
    """
    if status == 429 and "insufficient_quota" in said:  # no time will bring money
        remedy = Remedy.PERSON
    elif status in {408, 409, 425, 429}:
        remedy = Remedy.RETRY
    elif names_context_limit(said):
        remedy = Remedy.SHORTEN
    elif status in {401, 402, 403, 404}:
        remedy = Remedy.PERSON
    else:
        remedy = Remedy.RETRY if status >= 500 else Remedy.NONE
    what = f"HTTP {status}: {_message(said)}"
    return RequestFault(what, remedy, status=status, said=said, retry_after=retry_after_s(headers))


def names_context_limit(text: str) -> bool:
    """Whether an error's text, in one of the servers' wordings, says that the chat is too long."""
    return _CONTEXT_LIMIT.search(text) is not None


def refused_parameter(fault: RequestFault, sent: Collection[str]) -> str | None:
    """Which of the sent parameters a server does not take; None where that is not the trouble.

    Args:
        fault: A refusal that was not about the conversation's length.
        sent: Names of the parameters that one can do without.
    """
    if fault.status not in {400, 422, 501} or not _REFUSAL.search(fault.said):
        return None
    if "only one completion" in fault.said.lower():  # llama.cpp
        return "n" if "n" in sent else None
    quoted = re.findall(r"['\"`](?:body\.)?(\w+)['\"`]", fault.said)
    return next((name for name in quoted if name in sent), None)


def _message(said: str) -> str:
    """The words in an error's body, in the places where servers put them."""
    try:
        body = json.loads(said)
    except ValueError:
        body = said
    while isinstance(body, dict):
        inner = next((body[key] for key in ("error", "message", "detail") if body.get(key)), None)
        body = json.dumps(body) if inner is None else inner
    line = " ".join(str(body).split())[:_SHOWN]
    return "".join(filter(str.isprintable, line)) or "without a message"
