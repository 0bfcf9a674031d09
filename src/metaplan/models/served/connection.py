"""One endpoint's HTTP connection: a request in, a reply or the reason why not out."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from metaplan.models.served.faults import Remedy, RequestFault, fault_of, refused_parameter
from metaplan.models.served.protocol import Reply, RequestForm, dispensable, read_reply
from metaplan.models.served.settings import is_private

if TYPE_CHECKING:
    from openai import AsyncOpenAI

__all__ = ["Connection"]

_CONNECT_S = 10.0

_WITHOUT = {
    "max_tokens": "it is sent as 'max_completion_tokens'",
    "n": "several completions are asked for one by one",
    "seed": "its draws can't be repeated",
    "stop": "stop strings are applied to what it sends",
    "top_p": "it is left out, being 1",
}

_log = logging.getLogger(__name__)


class Connection:
    """Sends requests to one endpoint through the `openai` SDK, without its retries.

    Args:
        url: The base URL.
        key: None where the server needs none.
        timeout_s: Longest time of one request, from start to end.

    Attributes:
        form: What the server takes; it is learnt from refusals.
    """

    def __init__(self, url: str, key: str | None, timeout_s: float) -> None:
        self.form = RequestForm()
        self._url = url
        self._key = key
        self._timeout_s = timeout_s
        self._stop_has_worked = False
        self._client = _new_client(url, key, timeout_s)

    async def ask(self, body: dict[str, Any], *, n: int) -> Reply:
        """Sends one request; once more without a parameter that the server does not take.

        Raises:
            RequestFault: There is no usable reply.
        """
        while True:
            fitted = self.form.fit(body | {"n": n} if n > 1 else body)
            try:
                reply = await self._send(fitted)
            except RequestFault as fault:
                if fault.status == 500 and "stop" in fitted and not self._stop_has_worked:
                    return await self._ask_without_stop(fitted, fault)
                refused = refused_parameter(fault, dispensable(fitted))
                if fault.remedy is not Remedy.NONE or refused is None:
                    raise
                self._do_without(refused, fault)
            else:
                self._stop_has_worked |= "stop" in fitted
                return reply

    async def _ask_without_stop(self, body: dict[str, Any], fault: RequestFault) -> Reply:
        """`transformers serve` breaks on stop strings with some tokenizers, and does not say so."""
        del body["stop"]
        reply = await self._send(body)
        self._do_without("stop", fault)
        return reply

    def _do_without(self, parameter: str, fault: RequestFault) -> None:
        if parameter not in self.form.without:
            self.form.without.add(parameter)
            meaning = _WITHOUT[parameter]
            _log.warning("%s takes no '%s' (%s): %s", self._url, parameter, fault.what, meaning)

    async def close(self) -> None:
        """Closes the sockets. Safe to call twice."""
        await self._client.close()

    async def _send(self, body: dict[str, Any]) -> Reply:
        import openai

        try:
            async with asyncio.timeout(self._timeout_s):  # the SDK's own limits each read alone
                # `chat.completions.create` copies every message at a cost beyond that of HTTP.
                response = await self._client.post(
                    "/chat/completions", body=body, cast_to=openai.HttpxBinaryResponseContent
                )
            return read_reply(response.content)
        except (openai.APIError, TimeoutError) as error:
            fault = fault_of(error, self._timeout_s)
        except RequestFault as unreadable:
            fault = unreadable
        if self._key:  # some servers repeat the key that they refuse
            fault.what = fault.what.replace(self._key, "***")
        raise fault


def _new_client(url: str, key: str | None, timeout_s: float) -> AsyncOpenAI:
    import openai

    timeout = openai.Timeout(timeout_s, connect=min(timeout_s, _CONNECT_S))
    return openai.AsyncOpenAI(
        base_url=url,
        api_key=key or "none",
        timeout=timeout,
        max_retries=0,
        # Proxies of the environment are for the world outside.
        http_client=openai.DefaultAsyncHttpxClient(
            base_url=url, timeout=timeout, trust_env=not is_private(url)
        ),
    )
