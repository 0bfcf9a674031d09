"""Posts to one ``http://`` server over kept connections: as much of HTTP/1.1 as that takes.

A server of one's own has hundreds of requests under way, of which each costs a general HTTP client
a millisecond and more of CPU. Here it is a fraction of that, however many there are. Responses may
come with their length, in chunks, or up to the connection's end (RFC 9112, section 6.3).
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import NamedTuple
from urllib.parse import quote, urlsplit

from metaplan.models.served.faults import no_connection, refusal

__all__ = ["PlainHTTP"]

_FIRST_ERROR = 300
_WITHOUT_BODY = {204, 304}


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
        self._head = (
            f"POST {quote(parts.path, safe='/%')}/chat/completions HTTP/1.1\r\n"
            f"Host: {parts.netloc}\r\n"
            f"Accept: application/json\r\n"
            f"Authorization: Bearer {key or 'none'}\r\n"
            f"Content-Type: application/json\r\n"
            f"User-Agent: metaplan\r\n"
        ).encode("ascii")
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
        request = b"%bContent-Length: %d\r\n\r\n%b" % (self._head, len(content), content)
        try:
            response = await self._exchange(request)
        except TimeoutError:  # one of the errors of the system, too
            raise
        except (OSError, EOFError, ValueError, asyncio.LimitOverrunError) as error:
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

    async def _exchange(self, request: bytes) -> _Response:
        while line := self._idle_line():
            with suppress(ConnectionError):  # a server does not keep an idle one for ever
                return await self._on(line, request)
        if self._closed:
            raise ConnectionError("the client is closed")
        async with asyncio.timeout(self._connect_s):
            line = _Line(*await asyncio.open_connection(self._host, self._port))
        return await self._on(line, request)

    def _idle_line(self) -> _Line | None:
        while self._idle:
            line = self._idle.pop()
            if line.usable:
                return line
            line.close()
        return None

    async def _on(self, line: _Line, request: bytes) -> _Response:
        self._busy.add(line)
        try:
            return await line.exchange(request)
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


class _Line:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._is_idle = True

    @property
    def usable(self) -> bool:
        """Whether a request can be sent: the last one was answered, and nobody hung up."""
        return self._is_idle and not self._reader.at_eof()

    def close(self) -> None:
        self._writer.close()

    async def exchange(self, request: bytes) -> _Response:
        """One request and its response; if there was no error, `usable` says whether to go on.

        Raises:
            ConnectionError: The server is gone, and may have been before it could answer.
            EOFError: It is gone, in the middle of the response.
            ValueError: What came is no HTTP.
            asyncio.LimitOverrunError: Likewise.
        """
        self._is_idle = False
        self._writer.write(request)
        version, status, headers = await self._read_head()
        while status < 200:  # interim responses come before the one that counts
            version, status, headers = await self._read_head()
        ends = True
        if status in _WITHOUT_BODY:
            content = b""
        elif "chunked" in headers.get("transfer-encoding", "").lower():
            content = await self._read_chunks()
        elif "content-length" in headers:
            content = await self._reader.readexactly(int(headers["content-length"]))
        else:
            ends, content = False, await self._reader.read()
        stays = version != "HTTP/1.0" and headers.get("connection", "").lower() != "close"
        self._is_idle = ends and stays
        return _Response(status, headers, content)

    async def _read_head(self) -> tuple[str, int, dict[str, str]]:
        try:
            head = await self._reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError as cut:
            if cut.partial:
                raise
            raise ConnectionError("the server hung up without an answer") from None
        first, *lines = head.decode("latin-1").rstrip().split("\r\n")
        version, _, status = first.partition(" ")
        if not version.startswith("HTTP/1."):
            raise ValueError(f"no HTTP: {first[:80]!r}")
        fields = (line.partition(":") for line in lines)
        headers = {name.lower(): value.strip() for name, _, value in fields}
        return version, int(status[:3]), headers

    async def _read_chunks(self) -> bytes:
        content = bytearray()
        while size := int((await self._reader.readline()).partition(b";")[0], 16):
            content += await self._reader.readexactly(size)
            await self._reader.readline()
        while (await self._reader.readline()).strip():
            pass  # trailers
        return bytes(content)
