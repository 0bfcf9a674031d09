"""A simulated OpenAI-compatible model server of a stated capacity: it costs little CPU and no GPU.

    python benchmarks/simulated_server.py '{"capacity": 64}'

It prints its port, and ends with its standard input. `Load` says what can be set. A request holds
one of `capacity` slots for its service time and waits in line where none is free, or is refused
(429) where too many wait. The service time is that of the reply, drawn evenly between two bounds,
and that of reading those tokens of the prompt that the prefix cache does not hold.

`GET /` tells how it went since it was last asked: counts, CPU, and every request's begin and end.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
import subprocess
import sys
import time
from collections import OrderedDict, deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from urllib.request import urlopen

BYTES_PER_TOKEN = 4.0
_RECEPTACLE = re.compile(r"\b(?:a|an) ([a-z]+ \d+)\b")
_ROOMS = ("kitchen", "workshop", "hallway", "bathroom", "living room", "bedroom", "greenhouse")


@dataclass(frozen=True)
class Load:
    """What a server can do.

    Attributes:
        capacity: Requests that are served at a time.
        shortest_s: Of the time that a reply takes.
        longest_s: Likewise.
        read_tokens_per_s: Of a prompt, for each request; beside its reply's time.
        cache_tokens: That the prefix cache holds; 0: there is none.
        queue: Requests that may wait; those beyond are refused.
        replies: ``look``, ``alfworld``, ``scienceworld``: actions that the environment knows.
        seed: Of the times.
    """

    capacity: int = 64
    shortest_s: float = 0.3
    longest_s: float = 1.0
    read_tokens_per_s: float = 10_000.0
    cache_tokens: int = 400_000
    queue: int = 1_000_000
    replies: str = "look"
    seed: int = 0


@dataclass(frozen=True)
class Served:
    """How it went: `spans` holds begin and end of each service, in Unix time."""

    cpu_s: float
    refused: int
    most_waiting: int
    prompt_tokens: int
    cached_tokens: int
    spans: list[tuple[float, float]] = field(repr=False)


class PrefixCache:
    """Which beginnings of conversations are in memory: least recently used messages go first."""

    def __init__(self, tokens: int) -> None:
        self._capacity = tokens
        self._held: OrderedDict[int, int] = OrderedDict()
        self._tokens = 0

    def read(self, messages: Sequence[dict[str, str]]) -> tuple[int, int]:
        """Takes a conversation in; tokens in all, and those of its beginning that were there."""
        total = cached = key = 0
        missed = False
        chain = []
        for message in messages:
            key = hash((key, message["content"]))
            tokens = int(len(message["content"]) / BYTES_PER_TOKEN) + 4
            missed = missed or key not in self._held
            total += tokens
            cached += 0 if missed else tokens
            chain.append((key, tokens))
        if self._capacity:
            self._keep(chain)
        return total, cached

    def _keep(self, chain: list[tuple[int, int]]) -> None:
        for key, tokens in reversed(chain):  # a beginning outlives what follows it
            if key not in self._held:
                self._held[key] = tokens
                self._tokens += tokens
            self._held.move_to_end(key)
        while self._tokens > self._capacity:
            self._tokens -= self._held.popitem(last=False)[1]


class Server:
    """Slots, a line of those who wait, a cache."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._dice = random.Random(load.seed)
        self._cache = PrefixCache(load.cache_tokens)
        self._waiting: deque[tuple[Connection, list[dict[str, str]]]] = deque()
        self._free = load.capacity
        self._reset()

    def _reset(self) -> None:
        self._spans: list[tuple[float, float]] = []
        self._refused = self._most_waiting = self._prompt_tokens = self._cached_tokens = 0
        self._cpu_s = time.process_time()

    def tell(self) -> bytes:
        """The numbers since the last time."""
        served = Served(
            cpu_s=time.process_time() - self._cpu_s,
            refused=self._refused,
            most_waiting=self._most_waiting,
            prompt_tokens=self._prompt_tokens,
            cached_tokens=self._cached_tokens,
            spans=self._spans,
        )
        self._reset()
        return json.dumps(asdict(served)).encode()

    def ask(self, connection: Connection, messages: list[dict[str, str]]) -> None:
        """One request: it is served, waits, or is refused."""
        if self._free:
            self._begin(connection, messages)
        elif len(self._waiting) < self._load.queue:
            self._waiting.append((connection, messages))
            self._most_waiting = max(self._most_waiting, len(self._waiting))
        else:
            self._refused += 1
            connection.respond(b'{"error": {"message": "too many requests"}}', b"429 No")

    def _begin(self, connection: Connection, messages: list[dict[str, str]]) -> None:
        self._free -= 1
        total, cached = self._cache.read(messages)
        self._prompt_tokens += total
        self._cached_tokens += cached
        load = self._load
        service_s = self._dice.uniform(load.shortest_s, load.longest_s)
        service_s += (total - cached) / load.read_tokens_per_s
        end = asyncio.get_running_loop().call_later
        end(service_s, self._end, connection, messages, total, time.time(), service_s)

    def _end(
        self,
        connection: Connection,
        messages: list[dict[str, str]],
        total: int,
        begun: float,
        service_s: float,
    ) -> None:
        # The drawn time counts: what the timer adds is this machine's, not the simulated one's.
        self._spans.append((begun, begun + service_s))
        self._free += 1
        if self._waiting:
            self._begin(*self._waiting.popleft())
        connection.respond(_reply(_action(self._load.replies, messages), total))


def _action(replies: str, messages: list[dict[str, str]]) -> str:
    """A plausible action for this turn; the conversation alone decides."""
    turn = len(messages) // 2
    if replies == "alfworld":
        places = _RECEPTACLE.findall(messages[0]["content"].rpartition("middle of a room")[2])
        place = places[(7 * turn) % len(places)] if places else "desk 1"
        return ("look", f"go to {place}", f"examine {place}", "inventory")[(turn + 1) % 4]
    if replies == "scienceworld":
        room = _ROOMS[turn % len(_ROOMS)]
        return ("look around", f"teleport to {room}", "inventory")[turn % 3]
    return "look"


def _reply(action: str, prompt_tokens: int) -> bytes:
    text = f"Thought: I should see what is there before I go on with the plan.\nAction: {action}"
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": text},
        "finish_reason": "stop",
    }
    usage = {"prompt_tokens": prompt_tokens, "completion_tokens": 25, "total_tokens": 0}
    return json.dumps({"id": "0", "object": "chat.completion", "created": 0, "model": "simulated",
                       "choices": [choice], "usage": usage}).encode()  # fmt: skip


class Connection(asyncio.Protocol):
    """Just enough HTTP/1.1: one request at a time, bodies with a stated length."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._data = bytearray()

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._data += data
        end = self._data.find(b"\r\n\r\n")
        if end < 0:
            return
        head = bytes(self._data[:end]).lower()
        if head.startswith(b"get"):
            self._data.clear()
            self.respond(self._server.tell())
            return
        length = int(head.partition(b"content-length:")[2].split(b"\r", 1)[0])
        if len(self._data) >= end + 4 + length:
            body = json.loads(self._data[end + 4 : end + 4 + length])
            del self._data[: end + 4 + length]
            self._server.ask(self, body["messages"])

    def respond(self, body: bytes, status: bytes = b"200 OK") -> None:
        """Sends a response, if the client is still there."""
        if not self._transport.is_closing():
            self._transport.write(
                b"HTTP/1.1 %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
                % (status, len(body), body)
            )


@dataclass(frozen=True)
class SimulatedServer:
    """A server that runs in a process of its own."""

    port: int

    @property
    def url(self) -> str:
        """The base URL."""
        return f"http://127.0.0.1:{self.port}/v1"

    def served(self) -> Served:
        """How it went since it was last asked."""
        with urlopen(f"http://127.0.0.1:{self.port}/") as response:
            return Served(**json.load(response))


@contextmanager
def simulated_server(load: Load) -> Iterator[SimulatedServer]:
    """Starts a server process, which ends with the context."""
    command = [sys.executable, str(Path(__file__)), json.dumps(asdict(load))]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        yield SimulatedServer(int(process.stdout.readline()))
        process.communicate()


async def main() -> None:
    """Serves until the standard input ends."""
    loop = asyncio.get_running_loop()
    server = Server(Load(**json.loads(sys.argv[1])))
    listening = await loop.create_server(lambda: Connection(server), "127.0.0.1", 0, backlog=2048)
    print(listening.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main())
