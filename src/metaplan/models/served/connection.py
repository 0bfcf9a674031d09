"""One endpoint's HTTP connection: a request in, a reply or the reason why not out."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any

from metaplan.models.served.direct import Direct
from metaplan.models.served.faults import Remedy, RequestFault, no_answer, refused_parameter
from metaplan.models.served.protocol import Reply, RequestForm, dispensable, read_reply
from metaplan.models.served.sdk import SDK
from metaplan.models.served.settings import is_private

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
    """Sends requests to one endpoint.

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
        self._wire = _wire(url, key, timeout_s)

    async def ask(self, body: dict[str, Any], messages: bytes, *, n: int) -> Reply:
        """Sends one request; once more without a parameter that the server does not take.

        Args:
            body: All but the messages.
            messages: As JSON.
            n: How many completions.

        Raises:
            RequestFault: There is no usable reply.
        """
        while True:
            fitted = self.form.fit(body | {"n": n} if n > 1 else body)
            try:
                reply = await self._send(fitted, messages)
            except RequestFault as fault:
                if fault.status == 500 and "stop" in fitted and not self._stop_has_worked:
                    return await self._ask_without_stop(fitted, messages, fault)
                refused = refused_parameter(fault, dispensable(fitted))
                if fault.remedy is not Remedy.NONE or refused is None:
                    raise
                self._do_without(refused, fault)
            else:
                self._stop_has_worked |= "stop" in fitted
                return reply

    async def _ask_without_stop(
        self, body: dict[str, Any], messages: bytes, fault: RequestFault
    ) -> Reply:
        """`transformers serve` breaks on stop strings with some tokenizers, and does not say so."""
        del body["stop"]
        reply = await self._send(body, messages)
        self._do_without("stop", fault)
        return reply

    def _do_without(self, parameter: str, fault: RequestFault) -> None:
        if parameter not in self.form.without:
            self.form.without.add(parameter)
            meaning = _WITHOUT[parameter]
            _log.warning("%s takes no '%s' (%s): %s", self._url, parameter, fault.what, meaning)

    async def close(self) -> None:
        """Closes the sockets. Safe to call twice."""
        await self._wire.close()

    async def _send(self, body: dict[str, Any], messages: bytes) -> Reply:
        rest = json.dumps(body).encode("ascii")
        try:
            async with asyncio.timeout(self._timeout_s):  # a wire's own limits each read alone
                content = await self._wire.post(b'{"messages": %b, %b' % (messages, rest[1:]))
            return read_reply(content)
        except TimeoutError:
            fault = no_answer(self._timeout_s)
        except RequestFault as found:
            fault = found
        if self._key:  # some servers repeat the key that they refuse
            fault.what = fault.what.replace(self._key, "***")
        raise fault


def _wire(url: str, key: str | None, timeout_s: float) -> SDK | Direct:
    connect_s = min(timeout_s, _CONNECT_S)
    if url.startswith("http://") and is_private(url):
        return Direct(url, key, connect_s)
    return SDK(url, key, timeout_s, connect_s)
