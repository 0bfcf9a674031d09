"""A chat-completions server on the loopback interface that fails on demand.

It answers with any chat model of ours, so that episodes over HTTP have the rewards that they have
without it. What goes wrong is decided per request by a function of its number and body.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import socket
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from metaplan.models import ChatModel, Completion, Sampling, ScriptedModel

Body = dict[str, Any]


@dataclass(frozen=True)
class Reply:
    """A response in place of the model's.

    Attributes:
        status: HTTP status.
        body: JSON, or bytes as they are.
        headers: More headers.
        delay_s: Time before the response; a server that hangs has a long one.
        cut: The connection is cut in the middle of the body.
        trickle_s: Time between one byte of the body and the next.
    """

    status: int = 200
    body: Any = b""
    headers: dict[str, str] = field(default_factory=dict)
    delay_s: float = 0.0
    cut: bool = False
    trickle_s: float = 0.0


def error(status: int, message: str, *, code: str | None = None, **headers: str) -> Reply:
    """An error in OpenAI's form."""
    body = {"error": {"message": message, "type": "error", "param": None, "code": code}}
    return Reply(status, body, {name.replace("_", "-"): value for name, value in headers.items()})


def chat_json(texts: Sequence[str], *, finish_reason: str | None = "stop", **usage: int) -> Body:
    """A successful response's JSON."""
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 0,
        "model": "test",
        "choices": [
            {
                "index": index,
                "message": {"role": "assistant", "content": text},
                "finish_reason": finish_reason,
            }
            for index, text in enumerate(texts)
        ],
        "usage": usage or None,
    }


_PAST = "Sun, 06 Nov 1994 08:49:37 GMT"
FAULTS: dict[str, Reply] = {
    "429 and Retry-After in seconds": error(429, "slow down", Retry_After="0.05"),
    "429 and Retry-After as a date": error(429, "slow down", Retry_After=_PAST),
    "429 without Retry-After": error(429, "slow down"),
    "500": error(500, "internal error"),
    "503": Reply(503, b"<html>upstream is gone</html>"),
    "time-out": Reply(delay_s=3600.0),
    "slow body": Reply(body=chat_json(["Thought: I"]), trickle_s=0.05),
    "cut connection": Reply(body=chat_json(["Thought: I"]), cut=True),
    "empty body": Reply(),
    "garbage": Reply(body=b'{"choices": [{"mess'),
    "wrong shape": Reply(body={"choices": [{"text": "Action: look"}]}),
    "no choices": Reply(body=chat_json([])),
    "null content": Reply(body={"choices": [{"message": {"content": None}, "index": 0}]}),
}
"""Every way in which a request can come to nothing and may work the next time."""


class RandomFaults:
    """Lets a share of the requests come to nothing, in all ways that there are.

    Args:
        share: Of the requests, in [0, 1].
        seed: Of the choice.

    Attributes:
        counts: How often each happened.
    """

    TOO_MANY = "3 choices for 1"

    def __init__(self, share: float, seed: int) -> None:
        self.counts: Counter[str] = Counter()
        self._share = share
        self._dice = random.Random(seed)

    @property
    def lost(self) -> int:
        """Requests without a usable reply."""
        return self.counts.total() - self.counts[self.TOO_MANY]

    def __call__(self, number: int, body: Body) -> Reply | None:
        if self._dice.random() >= self._share:
            return None
        name = self._dice.choice([*FAULTS, self.TOO_MANY])
        self.counts[name] += 1
        if name == self.TOO_MANY:
            body["n"] = 3
        return FAULTS.get(name)


class OpenAIServer:
    """Serves a chat model; use as a context manager.

    Args:
        model: Who answers; the messages alone decide, seeds don't reach it.
        fault: For the number of a request (from 0) and its JSON: what to answer in place of the
            model, or None.
        most: Completions of one request; fewer than asked for where `n` is larger.
        obeys_stop: Whether stop strings are applied.
        port: 0 takes a free one.

    Attributes:
        requests: The JSON of all requests, in order.
        headers: Their headers, by names in lower case.
    """

    def __init__(
        self,
        model: ChatModel | str = "Thought: I look.\nAction: look",
        *,
        fault: Callable[[int, Body], Reply | None] = lambda number, body: None,
        most: int = 100,
        obeys_stop: bool = True,
        port: int = 0,
    ) -> None:
        self.model = ScriptedModel(lambda _: model) if isinstance(model, str) else model
        self.fault = fault
        self.most = most
        self.obeys_stop = obeys_stop
        self.requests: list[Body] = []
        self.headers: list[dict[str, str]] = []
        self.in_flight = 0
        self.most_in_flight = 0
        self.stopping = threading.Event()
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", port), _handler(self))
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        )

    @property
    def port(self) -> int:
        return self._server.server_address[1]

    @property
    def url(self) -> str:
        """The base URL."""
        return f"http://127.0.0.1:{self.port}/v1"

    def __enter__(self) -> OpenAIServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Refuses connections from now on and cuts the open ones. Safe to call twice."""
        self.stopping.set()
        self._server.shutdown()
        self.hang_up()

    def hang_up(self) -> None:
        """As if the process were killed; may be called while answering."""
        self._server.close_all()

    def answer(self, body: Body, headers: dict[str, str]) -> Reply:
        """The response to one request."""
        with self._lock:
            number = len(self.requests)
            self.requests.append(body)
            self.headers.append(headers)
            self.in_flight += 1
            self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            reply = self.fault(number, body) or self._completions(body)
            if reply.delay_s:
                self.stopping.wait(reply.delay_s)
            return reply
        finally:
            with self._lock:
                self.in_flight -= 1

    def _completions(self, body: Body) -> Reply:
        sampling = Sampling(
            temperature=body.get("temperature", 1.0),
            max_tokens=body.get("max_tokens", 1000),
            stop=tuple(body.get("stop", ())) if self.obeys_stop else (),
        )
        drawn: list[Completion] = asyncio.run(
            self.model.complete(body["messages"], sampling, n=min(body.get("n", 1), self.most))
        )
        usage = {
            "prompt_tokens": drawn[0].usage.prompt_tokens,
            "completion_tokens": sum(one.usage.completion_tokens for one in drawn),
        }
        return Reply(body=chat_json([one.text for one in drawn], **usage))


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 256

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._open: set[socket.socket] = set()

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def close_all(self) -> None:
        self.server_close()
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that are gone are no news."""


def _handler(owner: OpenAIServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        wbufsize = -1  # headers and body leave together

        def do_POST(self) -> None:
            length = int(self.headers.get("content-length", 0))
            body = json.loads(self.rfile.read(length))
            if self.path != "/v1/chat/completions":
                reply = error(404, f"no such path: {self.path}")
            else:
                headers = {name.lower(): value for name, value in self.headers.items()}
                reply = owner.answer(body, headers)
            self._respond(reply)

        def _respond(self, reply: Reply) -> None:
            content = (
                reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
            )
            self.send_response(reply.status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.end_headers()
            if reply.cut:
                content = content[: len(content) // 2]
                self.close_connection = True
            if not reply.trickle_s:
                self.wfile.write(content)
                return
            for byte in content:
                self.wfile.write(bytes([byte]))
                self.wfile.flush()
                owner.stopping.wait(reply.trickle_s)

        def log_message(self, *_: Any) -> None:
            """Tests are quiet."""

    return Handler
