"""Posts to one ``http://`` server over connections that are kept: HTTP/1.1 by `h11`, no more.

A server of one's own has hundreds of requests under way, of which each costs a general HTTP client
a millisecond and more of CPU. Here it is a fifth of that, however many there are.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import NamedTuple
from urllib.parse import urlsplit

import h11

from metaplan.models.served.faults import no_connection, refusal

__all__ = ["PlainHTTP"]

_CHUNK = 65_536  # bytes
_FIRST_ERROR = 300


class PlainHTTP:
    """As many connections as there are requests under way; idle ones are used again.

    Args:
        url: The base URL, with ``http://``.
        key: None where the server needs none.
        connect_s: Longest time for a connection to be made.
    """

    def __init__(self, url: str, key: str | None, connect_s: float) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port or 80
        self._target = f"{parts.path}/chat/completions"
        self._headers = [
            ("Host", parts.netloc),
            ("Accept", "application/json"),
            ("Authorization", f"Bearer {key or 'none'}"),
            ("Content-Type", "application/json"),
            ("User-Agent", "metaplan"),
        ]
        self._connect_s = connect_s
        self._idle: list[_Line] = []
        self._busy: set[_Line] = set()
        self._closed = False

    async def post(self, content: bytes) -> bytes:
        """Sends a request's JSON; returns the body of a successful response.

        Raises:
            TimeoutError: No connection was made in time.
            RequestFault: A refusal, or no connection.
        """
        try:
            response = await self._exchange(content)
        except TimeoutError:  # one of the errors of the system, too
            raise
        except (OSError, h11.RemoteProtocolError) as error:
            raise no_connection(error) from None
        if response.status >= _FIRST_ERROR:
            said = response.content.decode("utf-8", "replace")
            raise refusal(response.status, said, response.headers)
        return response.content

    async def close(self) -> None:
        """Closes all connections; what is under way on them ends. Safe to call twice."""
        self._closed = True
        for line in (*self._idle, *self._busy):
            line.close()
        self._idle.clear()

    async def _exchange(self, content: bytes) -> _Response:
        headers = [*self._headers, ("Content-Length", str(len(content)))]
        request = h11.Request(method="POST", target=self._target, headers=headers)
        while line := self._idle_line():
            with suppress(_HungUpError):  # a server does not keep an idle connection for ever
                return await self._on(line, request, content)
        if self._closed:
            raise ConnectionError("the client is closed")
        async with asyncio.timeout(self._connect_s):
            line = _Line(*await asyncio.open_connection(self._host, self._port))
        return await self._on(line, request, content)

    def _idle_line(self) -> _Line | None:
        while self._idle:
            line = self._idle.pop()
            if line.usable:
                return line
            line.close()
        return None

    async def _on(self, line: _Line, request: h11.Request, content: bytes) -> _Response:
        self._busy.add(line)
        try:
            return await line.exchange(request, content)
        finally:
            self._busy.remove(line)
            if line.usable and not self._closed:
                self._idle.append(line)
            else:
                line.close()


class _Response(NamedTuple):
    """What came back; header names are in lower case."""

    status: int
    headers: dict[str, str]
    content: bytes


class _HungUpError(ConnectionError):
    """The server closed a connection without a word."""


class _Line:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._http = h11.Connection(h11.CLIENT)

    @property
    def usable(self) -> bool:
        """Whether a request can be sent: the last one was answered, and nobody hung up."""
        return self._http.our_state is h11.IDLE and not self._reader.at_eof()

    def close(self) -> None:
        self._writer.close()

    async def exchange(self, request: h11.Request, content: bytes) -> _Response:
        """One request and its response; if there was no error, `usable` says whether to go on."""
        http = self._http
        events = (request, h11.Data(data=content), h11.EndOfMessage())
        self._writer.write(b"".join(http.send(event) or b"" for event in events))
        response, body = None, bytearray()
        while True:
            event = http.next_event()
            if event is h11.NEED_DATA:
                received = await self._reader.read(_CHUNK)
                if not received and response is None:
                    raise _HungUpError("the server closed the connection without an answer")
                http.receive_data(received)
            elif isinstance(event, h11.Response):
                response = event
            elif isinstance(event, h11.Data):
                body += event.data
            elif isinstance(event, h11.EndOfMessage) and response is not None:
                break
        if http.our_state is http.their_state is h11.DONE:
            http.start_next_cycle()
        headers = {name.decode(): value.decode("latin-1") for name, value in response.headers}
        return _Response(response.status_code, headers, bytes(body))
