"""The inside of a local worker: a process that answers over a socket to its parent.

`main` is started with the number of a connected socket that is inherited from the parent. Requests
and replies are length-prefixed pickles between these two processes alone. When the parent is gone,
the socket ends, and so does the worker; a watchdog ends one that is too busy to notice: no orphans.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import socket
import struct
import sys
import threading
import time
from typing import Any

from metaplan.episodes.host import EnvironmentHost

__all__ = ["FRAME_HEADER", "main", "serve"]

FRAME_HEADER = struct.Struct("!Q")
_WATCH_EVERY_S = 1.0


def serve(descriptor: int) -> None:
    """Answers requests until the parent closes the socket."""
    host = EnvironmentHost()
    with (
        contextlib.suppress(EOFError, ConnectionError),  # the stream's own end flushes, too
        socket.socket(fileno=descriptor) as connection,
        connection.makefile("rwb") as stream,
    ):
        while True:
            (size,) = FRAME_HEADER.unpack(_read_exactly(stream, FRAME_HEADER.size))
            request, operation, arguments = pickle.loads(_read_exactly(stream, size))  # noqa: S301
            payload = _reply(request, *host.answer(operation, arguments))
            stream.write(FRAME_HEADER.pack(len(payload)) + payload)
            stream.flush()


def _reply(request: int, fine: bool, value: Any) -> bytes:
    """The pickled reply; a value that can't be pickled is a fault."""
    try:
        return pickle.dumps((request, fine, value), protocol=pickle.HIGHEST_PROTOCOL)
    except Exception as error:
        return pickle.dumps((request, False, f"{type(error).__name__}: {error}"))


def _read_exactly(stream: Any, size: int) -> bytes:
    data: bytes = stream.read(size)
    if len(data) != size:
        raise EOFError
    return data


def _end_with(parent: int) -> None:
    """Ends this process when its parent is gone, also in the middle of an operation."""
    while os.getppid() == parent:
        time.sleep(_WATCH_EVERY_S)
    os._exit(1)


def main() -> None:
    """Entry point of the worker process."""
    # A cluster's scheduler asks all processes of a job to end; when workers end, the parent says.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=[os.getppid()], daemon=True).start()
    descriptor = int(sys.argv[1])
    # What a library prints must not end up among the parent's output.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    serve(descriptor)
