"""Models: each endpoint that a run names is asked for a word; files are looked for."""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
import urllib.request
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from metaplan.core import ConfigError, ContextLimitError, ModelFault, UserError
from metaplan.models import Message, Sampling, ServedModel
from metaplan.models.served import ServedSettings, api_key_for
from metaplan.models.served.settings import is_private
from metaplan.recipes import RunConfig
from metaplan.runs.doctor.checks import Check, Finding

__all__ = ["model_checks"]

_ANSWER_S = 60.0
_CONNECT_S = 5.0
_LIST_S = 10.0
_REST_S = 2 * _CONNECT_S + _LIST_S + 10.0
_NAMES_SHOWN = 8
_HELLO: Message = {"role": "user", "content": "Reply with: OK"}
_TOKENS = 16  # some servers refuse fewer


def model_checks(config: RunConfig) -> Iterator[Check]:
    """One for every model and URL, which asks for a few tokens; and one for what is trained."""
    asked: dict[tuple[str, str, str], tuple[str, ServedSettings, str]] = {}
    for role, settings in _served(config).items():
        for url in settings.urls:
            asked.setdefault((settings.model, url, settings.api_key_env), (role, settings, url))
    for role, settings, url in asked.values():
        yield Check(role, partial(_endpoint, role, settings, url), _ANSWER_S + _REST_S)
    role, base = config.learner or ("planner", "scratch")
    if base != "scratch":
        yield Check(role, partial(_weights, role, base))


def _served(config: RunConfig) -> dict[str, ServedSettings]:
    """The served models that a run asks, by role."""
    summariser, prompted = config.collect.summariser, config.prompted
    asked = {
        "agent": config.agent.served,
        "prompted planner": prompted.served
        if prompted and "prompted" in config.evaluate.methods
        else None,
        "summariser": summariser.served if summariser and config.trains_planner else None,
    }
    return {role: settings for role, settings in asked.items() if settings is not None}


def _weights(role: str, base: str) -> Iterator[Finding]:
    """Whether the weights to start from are here, or known to be fetched.

    Args:
        role: Field of the recipe that names them: ``planner`` or ``tuning``.
        base: A directory, or a name.
    """
    if Path(base).is_dir():
        if (Path(base) / "config.json").exists():
            yield Finding.fine(role, f"{base} is here")
        else:
            fact = f"{base} holds no model (no config.json)"
            yield Finding.trouble(role, fact, f"another directory in {role}.base")
        return
    try:
        from huggingface_hub import try_to_load_from_cache
        from huggingface_hub.errors import HFValidationError
    except ImportError:  # the extra's check says so
        return
    try:
        cached = try_to_load_from_cache(base, "config.json")
    except HFValidationError:
        fact = f"{base} is no directory, and no name of a model on huggingface.co"
        yield Finding.trouble(role, fact, f"put {role}.base right")
        return
    if isinstance(cached, str):
        yield Finding.fine(role, f"{base} is in the cache of huggingface_hub")
    else:
        yield Finding.trouble(
            role,
            f"{base} is not here yet: it will be fetched from huggingface.co",
            f"hf download {base}; where its licence has to be accepted, hf auth login first",
            needed=False,
        )


def _endpoint(subject: str, settings: ServedSettings, url: str) -> Iterator[Finding]:
    """Asks for a word; where none comes, looks for the first step that fails.

    Some servers answer whatever model is asked for: the run would bear the wrong name.
    """
    try:
        key = api_key_for(url, settings)
    except ConfigError as error:
        remedy = f"export {settings.api_key_env}=…"
        yield Finding.trouble(subject, str(error), remedy)
        return
    try:
        answered_s = asyncio.run(_ask(settings, url))
    except UserError as error:  # a wrong key, a wrong name, no money: it says what to do
        names = _other_names(settings, url, key)
        remedy = f"set 'model' to one of those that it serves: {names}" if names else ""
        yield Finding.trouble(subject, str(error), remedy)
    except (ModelFault, ContextLimitError) as fault:
        unreachable = _unreachable(url)
        if unreachable is not None:
            fact, remedy = unreachable
            yield Finding.trouble(subject, f"{settings.model}: {fact}", remedy)
        else:
            remedy = f"look at the server's log; try: curl {url}/models"
            yield Finding.trouble(subject, str(fault), remedy)
    else:
        with_key = f", with the key in {settings.api_key_env}" if key else ""
        fact = f"{settings.model} at {url} answers in {answered_s:.2f} s{with_key}"
        if names := _other_names(settings, url, key):
            remedy = f"is it the model that 'model' names? The server lists: {names}"
            yield Finding.trouble(subject, fact, remedy, needed=False)
        else:
            yield Finding.fine(subject, fact)


async def _ask(settings: ServedSettings, url: str) -> float:
    """Seconds until the model has said something.

    Raises:
        UserError: A person has to put something right.
        ModelFault: There is no answer.
    """
    patience = {"urls": (url,), "attempts": 1, "timeout_s": min(settings.timeout_s, _ANSWER_S)}
    model = ServedModel(settings.model_copy(update=patience))
    started = time.monotonic()
    try:
        await model.complete([_HELLO], Sampling(max_tokens=_TOKENS))
    finally:
        await model.close()
    return time.monotonic() - started


def _other_names(settings: ServedSettings, url: str, key: str | None) -> str:
    """What a server lists, in words, where the model that is asked for is not among that."""
    names = _listed(url, key)
    if not names or settings.model in names:
        return ""
    return ", ".join(names[:_NAMES_SHOWN]) + (" …" if len(names) > _NAMES_SHOWN else "")


def _listed(url: str, key: str | None) -> list[str]:
    """The models that a server lists; none where it has no list."""
    import openai

    client = openai.OpenAI(
        base_url=url,
        api_key=key or "none",
        timeout=_LIST_S,
        max_retries=0,
        http_client=openai.DefaultHttpxClient(trust_env=not is_private(url), timeout=_LIST_S),
    )
    with client:
        try:
            return [str(model.id) for model in client.models.list().data]
        except (openai.APIError, AttributeError, TypeError, ValueError):
            return []


def _unreachable(url: str) -> tuple[str, str] | None:
    """Which step on the way to a server fails, and what to do about it; None if none does.

    Name, connection, encryption; behind a proxy only the way to that can be looked at.
    """
    parts = urlsplit(url)
    proxy = _proxy(url)
    target = urlsplit(proxy) if proxy else parts
    host = target.hostname or ""
    port = target.port or (443 if target.scheme == "https" else 80)
    try:
        connection = socket.create_connection((host, port), timeout=_CONNECT_S)
    except OSError as error:
        if isinstance(error, socket.gaierror):
            fact = f"the name {host} is not known here"
        else:
            fact = f"nothing can be reached at {host}, port {port}: {error.strerror or error}"
        if proxy:
            return f"{fact}, where the proxy should be", f"put {parts.scheme}_proxy right"
        if is_private(url):
            return fact, "start the server there (docs/endpoints.md), or put 'urls' right"
        return fact, "look at 'urls' and the network; behind a proxy: export https_proxy=…"
    with connection:
        if proxy or parts.scheme != "https":
            return None
        try:
            ssl.create_default_context().wrap_socket(connection, server_hostname=host).close()
        except OSError as error:
            remedy = "is it https, and is the clock right? A CA of your own: export SSL_CERT_FILE=…"
            return f"no encrypted connection to {host}, port {port}: {error}", remedy
    return None


def _proxy(url: str) -> str | None:
    """The address of the proxy on the way; private hosts are reached without."""
    parts = urlsplit(url)
    if is_private(url) or urllib.request.proxy_bypass(parts.hostname or ""):
        return None
    address = urllib.request.getproxies().get(parts.scheme)
    return address if address is None or "://" in address else f"http://{address}"
