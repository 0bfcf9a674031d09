"""Which model, where it is served, and how patiently it is asked."""

from __future__ import annotations

import ipaddress
import os
from urllib.parse import urlsplit

from pydantic import Field, JsonValue, field_validator

from metaplan.core import ConfigError, Record

__all__ = ["SERVED_OPERATIONAL", "Prices", "ServedSettings", "api_key_for", "is_private"]

SERVED_OPERATIONAL = (
    "urls",
    "api_key_env",
    "timeout_s",
    "attempts",
    "max_in_flight",
    "patience_s",
    "can_continue",
    "prices",
)
"""Fields that say how the model is reached; none of them shapes an answer."""

_OPENAI_KEY = "OPENAI_API_KEY"
_OWN_FIELDS = frozenset(
    {"model", "messages", "n", "stream", "temperature", "top_p", "max_tokens", "stop", "seed"}
)


class Prices(Record):
    """What a provider charges, in US dollars per million tokens.

    Attributes:
        prompt: Sent. Where a provider takes less for what its cache has, the full price makes an
            upper bound.
        completion: Generated.
    """

    prompt: float = Field(ge=0.0, allow_inf_nan=False)
    completion: float = Field(ge=0.0, allow_inf_nan=False)


class ServedSettings(Record):
    """A chat model behind OpenAI-compatible endpoints.

    Attributes:
        model: Its name, as the server calls it.
        urls: Base URLs, which mostly end in ``/v1``. Several serve the same model and share the
            load; a conversation stays with one of them.
        api_key_env: Name of the environment variable with the key. Hosts on this machine or in a
            private network need no key.
        timeout_s: Longest time of one request.
        attempts: Most tries of one request, the first included, before it is a `ModelFault`.
        max_in_flight: Most requests at a time to one endpoint. How many they really are, up to
            there, is found out: as many as raise its throughput. The others wait here.
        patience_s: When all endpoints are gone that have answered before (a restart, a network),
            requests wait so long for one to come back. 0: they don't.
        can_continue: Whether the server continues a last message of the assistant, which placement
            ``thought`` needs: vLLM and SGLang do, asked with ``continue_final_message``.
        send_temperature: False for models that refuse the parameters and draw at a temperature of
            their own (OpenAI's reasoning models): neither temperature nor top_p is sent.
        context_tokens: Where a server cuts long conversations silently instead of refusing them
            (Ollama): an answer counts only if its prompt, as the server counts, and
            `Sampling.max_tokens` fit into so many tokens. None leaves it to the server.
        extra_body: More fields of each request, such as ``{reasoning_effort: low}``.
        prices: What it costs, for `metaplan status`; None where that is unknown.
    """

    model: str = Field(min_length=1)
    urls: tuple[str, ...] = Field(default=("https://api.openai.com/v1",), min_length=1)
    api_key_env: str = Field(default=_OPENAI_KEY, min_length=1)
    timeout_s: float = Field(default=120.0, gt=0.0)
    attempts: int = Field(default=6, ge=1)
    max_in_flight: int = Field(default=512, ge=1)
    patience_s: float = Field(default=600.0, ge=0.0)
    can_continue: bool = False
    send_temperature: bool = True
    context_tokens: int | None = Field(default=None, ge=1)
    extra_body: dict[str, JsonValue] = Field(default_factory=dict)
    prices: Prices | None = None

    @field_validator("urls")
    @classmethod
    def _reachable(cls, urls: tuple[str, ...]) -> tuple[str, ...]:
        for url in urls:
            parts = urlsplit(url)
            if parts.scheme not in {"http", "https"} or not parts.hostname:
                raise ValueError(f"{url!r} is no base URL, such as http://localhost:8000/v1")
            if parts.username or parts.password or parts.query:
                raise ValueError("keys don't belong into URLs; see 'api_key_env'")
        plain = tuple(url.rstrip("/") for url in urls)
        if len(set(plain)) < len(plain):
            raise ValueError("a URL is named twice")
        return plain

    @field_validator("extra_body")
    @classmethod
    def _leaves_the_rest_alone(cls, extra: dict[str, JsonValue]) -> dict[str, JsonValue]:
        if taken := sorted(_OWN_FIELDS & extra.keys()):
            raise ValueError(f"{', '.join(taken)}: set by Metaplan itself, from the other settings")
        return extra


def is_private(url: str) -> bool:
    """Whether a host is this machine or of a private network, going by its address or name."""
    host = urlsplit(url).hostname or ""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return "." not in host or host.endswith((".local", ".localhost", ".internal"))
    return address.is_private or address.is_loopback or address.is_link_local


def api_key_for(url: str, settings: ServedSettings) -> str | None:
    """The key for an endpoint; None where it needs none.

    A private host is given a key only from a variable that was named for it: OpenAI's own does not
    go there.

    Raises:
        ConfigError: A public host, and the environment variable is not set; or it holds no key.
    """
    name = settings.api_key_env
    key = os.environ.get(name, "").strip()
    if not (key.isascii() and key.isprintable()):  # an error about the header would show it
        raise ConfigError(f"the environment variable {name} holds characters that no key has")
    if is_private(url):
        return key if key and name != _OPENAI_KEY else None
    if not key:
        raise ConfigError(
            f"the environment variable {name} is not set, and {url} needs a key; set it, or name "
            f"another variable in 'api_key_env'"
        )
    return key
