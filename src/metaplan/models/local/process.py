"""The inside of an engine process: it answers the rows that its parent hands it.

`main` is started with the number of a connected socket that is inherited from the parent, and is
told first which model to load. When the parent is gone the socket ends, and so does the process.
What is sent are pickles between these two processes alone.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path

from metaplan.models.contract import Completion, Sampling
from metaplan.models.local.engines import start_worker
from metaplan.models.local.loading import load
from metaplan.models.local.row import Row

__all__ = ["Answer", "Ask", "Cancel", "Setting", "main"]


@dataclass(frozen=True)
class Setting:
    """What to generate with; see `LocalModel`."""

    path: Path
    name: str
    max_batch: int
    cache_bytes: int


@dataclass(frozen=True)
class Ask:
    """A row to answer, by a number of the parent's."""

    number: int
    prompt: tuple[int, ...]
    sampling: Sampling
    seed: int
    session: str | None


@dataclass(frozen=True)
class Cancel:
    """Nobody waits for this row any more."""

    number: int


@dataclass(frozen=True)
class Answer:
    """A row's completion, or what went wrong."""

    number: int
    completion: Completion | None
    problem: str = ""


def serve(connection: Connection) -> None:
    """Answers until it is told to end, by None.

    Raises:
        EOFError: The parent is gone.
    """
    setting: Setting = connection.recv()
    model, tokenizer = load(setting.path, "cpu")
    worker = start_worker(
        model,
        tokenizer,
        name=setting.name,
        max_batch=setting.max_batch,
        cache_bytes=setting.cache_bytes,
    )
    rows: dict[int, Row] = {}
    sending = threading.Lock()

    def answer(number: int, future: Future[Completion]) -> None:
        rows.pop(number, None)
        if future.cancelled():
            return
        problem = future.exception()
        told = Answer(number, None, str(problem)) if problem else Answer(number, future.result())
        with sending:
            connection.send(told)

    request: Ask | Cancel | None
    while request := connection.recv():
        if isinstance(request, Cancel):
            if row := rows.get(request.number):
                row.future.cancel()
            continue
        row = Row(request.prompt, request.sampling, request.seed, request.session)
        rows[request.number] = row
        row.future.add_done_callback(partial(answer, request.number))
        worker.put(row)
    worker.close()
    worker.join()


def main() -> None:
    """Entry point of the process."""
    # Ctrl-C goes to all processes of a terminal; the parent says when engines end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    connection = Connection(int(sys.argv[1]))
    # What a library prints must not end up among the parent's output.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    try:
        serve(connection)
    except (EOFError, ConnectionError):
        os._exit(0)  # the thread that generates may be at work
