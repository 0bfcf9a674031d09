"""HTTP as servers of one's own speak it."""

import asyncio
import contextlib

import pytest

from metaplan.core import ModelFault
from metaplan.models import Sampling

HELLO = [{"role": "user", "content": "hi"}]
BODY = b'{"choices": [{"message": {"content": "caf\xc3\xa9"}, "finish_reason": "stop"}]}'
PLAIN = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(BODY), BODY)
HALVES = b"%x\r\n%b\r\n%x\r\n%b\r\n0\r\n\r\n" % (10, BODY[:10], len(BODY) - 10, BODY[10:])
FORMS = {
    "with its length": PLAIN,
    "in chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + HALVES,
    "up to the end": b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + BODY,
    "of HTTP/1.0": b"HTTP/1.0 200 OK\r\n\r\n" + BODY,
    "after an interim one": b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + PLAIN,
}


class RawServer:
    """Answers every request with the same bytes; hangs up after as many as it is told to."""

    def __init__(self, answer, hang_up_after=None, pieces=1):
        self.answer = answer
        self.hang_up_after = hang_up_after
        self.pieces = pieces
        self.connections = 0
        self.heads = []

    async def serve(self, reader, writer):
        self.connections += 1
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            served = 0
            while served != self.hang_up_after:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
                self.heads.append(head)
                await reader.readexactly(int(head.partition("content-length: ")[2].split()[0]))
                size = -(-len(self.answer) // self.pieces)
                for at in range(0, len(self.answer), size):
                    writer.write(self.answer[at : at + size])
                    await writer.drain()
                    await asyncio.sleep(0)
                served += 1
                if b"Content-Length" not in self.answer and b"chunked" not in self.answer:
                    break
        writer.close()


@contextlib.asynccontextmanager
async def listening(raw):
    server = await asyncio.start_server(raw.serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    finally:
        server.close()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("pieces", [1, 7, 1000])
async def test_every_form_of_response_is_read(client_of, form, pieces):
    async with listening(RawServer(FORMS[form], pieces=pieces)) as url:
        model = client_of(url, attempts=1)
        for _ in range(3):
            [completion] = await model.complete(HELLO, Sampling())
            assert completion.text == "café"
        await model.close()


async def test_connections_are_kept_as_many_as_there_were_requests_at_a_time(client_of):
    raw = RawServer(PLAIN)
    async with listening(raw) as url:
        model = client_of(url)
        for _ in range(10):
            await asyncio.gather(*(model.complete(HELLO, Sampling()) for _ in range(5)))
        assert raw.connections == 5
        assert len(raw.heads) == 50
        assert raw.heads[0].startswith("post /v1/chat/completions http/1.1")
        await model.close()


@pytest.mark.parametrize("hang_up_after", [1, 3])
async def test_a_server_that_drops_idle_connections_costs_no_attempt(client_of, hang_up_after):
    raw = RawServer(PLAIN, hang_up_after=hang_up_after)
    async with listening(raw) as url:
        model = client_of(url, attempts=1)
        for _ in range(10):
            assert await model.complete(HELLO, Sampling())
        assert model.usage.faults == 0
        await model.close()


@pytest.mark.parametrize(
    "answer",
    [b"", b"\x00\x01\x02 no http\r\n\r\n", PLAIN[:-5], b"HTTP/1.1 200 OK\r\nContent-Le"],
)
async def test_what_is_no_response_is_a_fault(client_of, answer):
    async with listening(RawServer(answer, hang_up_after=1)) as url:
        model = client_of(url, attempts=1)
        with pytest.raises(ModelFault, match="no connection"):
            await model.complete(HELLO, Sampling())
        await model.close()


async def test_a_redirection_is_told(client_of):
    answer = b"HTTP/1.1 307 No\r\nLocation: /v2\r\nContent-Length: 4\r\n\r\ngone"
    async with listening(RawServer(answer)) as url:
        model = client_of(url)
        with pytest.raises(ModelFault, match="HTTP 307: gone"):
            await model.complete(HELLO, Sampling())
        await model.close()
