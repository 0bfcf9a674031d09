"""The OpenAI-compatible client."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import time
from collections import Counter
from collections.abc import Coroutine, Hashable, Mapping, Sequence
from typing import Any, NamedTuple, NoReturn

from metaplan.core import (
    ConfigError,
    ContextLimitError,
    ModelFault,
    Record,
    UserError,
    digest,
    seed_from,
)
from metaplan.models.contract import Completion, Message, Sampling
from metaplan.models.served.balancing import Balancer
from metaplan.models.served.connection import Connection
from metaplan.models.served.endpoint import Endpoint
from metaplan.models.served.faults import Remedy, RequestFault, refused_parameter
from metaplan.models.served.outage import Outage
from metaplan.models.served.protocol import Reply, completions_of, request_body
from metaplan.models.served.settings import ServedSettings, api_key_for
from metaplan.models.served.waits import wait_s

__all__ = ["ServedModel", "ServedUsage"]

_log = logging.getLogger(__name__)


class ServedUsage(Record):
    """What a client has asked for so far.

    Attributes:
        requests: HTTP requests that gave a reply.
        faults: Attempts that did not.
        prompt_tokens: As the servers counted; 0 for those that don't count.
        completion_tokens: Likewise.
    """

    requests: int = 0
    faults: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0


class _Request(NamedTuple):
    """What is asked for, the messages as JSON."""

    body: dict[str, Any]
    messages: bytes
    n: int
    names: Sequence[Hashable]


class ServedModel:
    """A chat model behind one or several OpenAI-compatible endpoints.

    Args:
        settings: Which model, where, how patiently. The key is read when the model is first asked;
            `api_key_for` finds out before whether it is there.
    """

    def __init__(self, settings: ServedSettings) -> None:
        self.settings = settings
        self._loop: asyncio.AbstractEventLoop | None = None
        self._connections: dict[str, Connection] = {}
        self._balancer = Balancer((), Outage(settings.model, 0.0))
        self._closed = False
        self._warned = False
        self._counts: Counter[str] = Counter()

    @property
    def name(self) -> str:
        """As the server calls the model."""
        return self.settings.model

    @property
    def can_continue(self) -> bool:
        """As the settings say."""
        return self.settings.can_continue

    @property
    def fingerprint(self) -> Mapping[str, str]:
        """The name and what goes with each request; which server answers makes no difference."""
        settings = self.settings
        return {
            "model": settings.model,
            "protocol": "chat.completions",
            "settings": digest(
                settings.send_temperature, settings.context_tokens, settings.extra_body
            ),
        }

    @property
    def usage(self) -> ServedUsage:
        """Requests and tokens so far."""
        return ServedUsage(**self._counts)

    async def complete(
        self,
        messages: Sequence[Message],
        sampling: Sampling,
        *,
        n: int = 1,
        session: str | None = None,
    ) -> list[Completion]:
        """Draws `n` completions: in one request, or one by one where the server gives fewer.

        The seed of a request comes from `Sampling.seed`, the messages and the number of
        completions that are there already. Tokens are those that the server counted, 0 where it
        does not count; of several completions of one request, each has an equal share.

        Raises:
            ModelFault: No usable answer in all attempts, or a refusal.
            ContextLimitError: The messages don't fit the model.
            UserError: Key, model name or URL is missing or wrong, or the model refuses the
                temperature.
        """
        if messages[-1]["role"] == "assistant" and not self.can_continue:
            raise ConfigError(
                f"{self.name} is asked to continue a started reply; set 'can_continue' if its "
                f"server can (vLLM and SGLang do)"
            )

        names = [name for name in (session, _opening(messages)) if name is not None]
        as_json = json.dumps(messages).encode("ascii")

        async def draw(have: int, wanted: int) -> list[Completion]:
            seed = None if sampling.seed is None else _seed(sampling.seed, as_json, have)
            body = request_body(self.settings, messages, sampling, seed)
            reply = await self._ask(_Request(body, as_json, wanted, names))
            return self._accepted(completions_of(reply, wanted, sampling.stop), sampling)

        completions = await draw(0, n)
        if len(completions) < n:
            for more in await _all([draw(have, 1) for have in range(len(completions), n)]):
                completions += more
        return completions

    async def close(self) -> None:
        """Closes all connections. Safe to call twice."""
        self._closed = True
        connections, self._connections = self._connections, {}
        if self._loop is asyncio.get_running_loop():  # those of a loop that is gone went with it
            for connection in connections.values():
                await connection.close()

    async def _ask(self, request: _Request) -> Reply:
        """Sends a request until it is answered, elsewhere if its endpoint is down."""
        self._connect()
        balancer = self._balancer
        attempt = 1
        while True:
            async with balancer.turn(*request.names) as endpoint:
                # Whoever finds out whether an outage is over uses up no attempt.
                finds_out = endpoint.down and balancer.outage.waits
                try:
                    return await self._send(endpoint, request)
                except RequestFault as fault:
                    last = attempt >= self.settings.attempts and not finds_out
                    # Each wait for servers that hang is a long one: the episode's retry is enough.
                    lost = balancer.all_down and not balancer.outage.may_be_waited_for
                    hopeless = fault.timed_out and lost
                    if fault.remedy is not Remedy.RETRY or hopeless or last:
                        self._give_up(endpoint.url, fault, attempt)
            if not balancer.outage.waits:  # else the next turn is what is waited for
                await asyncio.sleep(wait_s(attempt))
            attempt += not finds_out

    async def _send(self, endpoint: Endpoint, request: _Request) -> Reply:
        self._check_open()  # closed while this request waited
        connection = self._connections[endpoint.url]
        wanted = request.n if connection.form.draws_many else 1
        sent = time.monotonic()
        try:
            reply = await connection.ask(request.body, request.messages, n=wanted)
        except RequestFault as fault:
            self._counts["faults"] += 1
            self._balancer.faulted(endpoint, fault, sent)
            raise
        self._balancer.answered(endpoint)
        if len(reply.choices) < wanted:
            connection.form.without.add("n")
        self._counts["requests"] += 1
        self._counts.update(dict(reply.counted))
        return reply

    def _check_open(self) -> None:
        if self._closed:
            raise ModelFault(f"{self.name}: the client is closed")

    def _connect(self) -> None:
        """Makes the connections of this event loop, of which there is mostly one in all."""
        self._check_open()
        loop = asyncio.get_running_loop()
        if self._loop is loop:
            return
        settings = self.settings
        self._connections = {
            url: Connection(url, api_key_for(url, settings), settings.timeout_s)
            for url in settings.urls
        }
        self._balancer = Balancer(
            [Endpoint(url, settings.max_in_flight) for url in settings.urls],
            Outage(settings.model, settings.patience_s),
        )
        self._loop = loop

    def _accepted(self, completions: list[Completion], sampling: Sampling) -> list[Completion]:
        """The completions, unless the server let a conversation in that is too long."""
        prompt = completions[0].usage.prompt_tokens
        limit = self.settings.context_tokens
        if limit is not None and prompt + sampling.max_tokens > limit:
            raise ContextLimitError(
                f"{prompt} tokens and {sampling.max_tokens} new ones exceed {limit} of {self.name}"
            )
        silent = any(one.finish_reason == "length" and not one.text for one in completions)
        if silent and not self._warned:
            self._warned = True
            _log.warning(
                "%s used up %d tokens before it said anything: a reasoning model needs more",
                self.name,
                sampling.max_tokens,
            )
        return completions

    def _give_up(self, url: str, fault: RequestFault, attempt: int) -> NoReturn:
        said = f"{self.name} at {url}: {fault.what}"
        if fault.remedy is Remedy.SHORTEN:
            raise ContextLimitError(said) from None
        if fault.remedy is Remedy.PERSON:
            raise UserError(f"{said}. {self._advice(fault.status)}") from None
        if fault.remedy is Remedy.NONE and refused_parameter(fault, {"temperature", "top_p"}):
            raise UserError(
                f"{said}. The experiment asks for a temperature that this model does not take; "
                f"with 'send_temperature: false' it draws at its own, which the run records"
            ) from None
        attempts = f" (the last of {attempt} attempts)" if attempt > 1 else ""
        raise ModelFault(f"{said}{attempts}") from None

    def _advice(self, status: int | None) -> str:
        if status in {401, 403}:
            return f"Check the key in the environment variable {self.settings.api_key_env}"
        if status == 404:
            return "Check 'model' and 'urls' (a base URL mostly ends in /v1)"
        return "Check the account's credit"


def _seed(seed: int, messages: bytes, have: int) -> int:
    """A seed of its own for each turn of an episode and each of several completions."""
    return seed_from(seed, hashlib.sha256(messages).hexdigest(), have)


def _opening(messages: Sequence[Message]) -> int:
    """Names what conversations begin with: up to the task and its plan, they are the same."""
    upto = next((at for at, one in enumerate(messages) if one["role"] == "user"), 0)
    return hash(tuple(message["content"] for message in messages[: upto + 1]))


async def _all(work: Sequence[Coroutine[Any, Any, list[Completion]]]) -> list[list[Completion]]:
    """Does all at a time; the first error ends the others."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one) for one in work]
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None
    return [task.result() for task in tasks]
