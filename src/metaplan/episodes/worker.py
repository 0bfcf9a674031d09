"""An environment worker: a process that holds loaded tasks and running environments.

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
from collections import OrderedDict
from typing import Any

from metaplan.core import Task
from metaplan.environments import Environment, LoadedTask, get_benchmark

__all__ = ["FRAME_HEADER", "LOADED_TASKS_KEPT", "main"]

FRAME_HEADER = struct.Struct("!Q")
LOADED_TASKS_KEPT = 32
_WATCH_EVERY_S = 1.0


class _Worker:
    """Answers requests one after the other."""

    def __init__(self) -> None:
        self._loaded: OrderedDict[tuple[str, str], LoadedTask] = OrderedDict()
        self._environments: dict[int, Environment] = {}

    def _load(self, task: Task) -> LoadedTask:
        name = (task.task_set, task.key)
        if name not in self._loaded:
            self._loaded[name] = get_benchmark(task.benchmark).load(task)
            while len(self._loaded) > LOADED_TASKS_KEPT:
                self._loaded.popitem(last=False)
        self._loaded.move_to_end(name)
        return self._loaded[name]

    def reset(self, number: int, task: Task) -> Any:
        environment = self._load(task).make()
        self._environments[number] = environment
        return environment.reset()

    def step(self, number: int, action: str) -> Any:
        return self._environments[number].step(action)

    def close(self, number: int) -> None:
        environment = self._environments.pop(number, None)
        if environment is not None:
            environment.close()

    def describe(self, task: Task) -> str:
        """The task's instruction: what a reset shows."""
        environment = self._load(task).make()
        try:
            return environment.reset().text
        finally:
            environment.close()

    def expert(self, task: Task) -> Any:
        expert = get_benchmark(task.benchmark).expert
        if expert is None:
            raise ValueError(f"the benchmark {task.benchmark} has no expert")
        return expert(task)


def _read_exactly(stream: Any, size: int) -> bytes:
    data: bytes = stream.read(size)
    if len(data) != size:
        raise EOFError
    return data


def serve(descriptor: int) -> None:
    """Answers requests until the parent closes the socket."""
    worker = _Worker()
    with (
        contextlib.suppress(EOFError, ConnectionError),  # the stream's own end flushes, too
        socket.socket(fileno=descriptor) as connection,
        connection.makefile("rwb") as stream,
    ):
        while True:
            (size,) = FRAME_HEADER.unpack(_read_exactly(stream, FRAME_HEADER.size))
            request, operation, arguments = pickle.loads(_read_exactly(stream, size))  # noqa: S301
            payload = _answer(worker, request, operation, arguments)
            stream.write(FRAME_HEADER.pack(len(payload)) + payload)
            stream.flush()


def _answer(worker: _Worker, request: int, operation: str, arguments: tuple[Any, ...]) -> bytes:
    """The pickled reply; whatever an environment raises is a fault with its cause."""
    try:
        value = getattr(worker, operation)(*arguments)
        return pickle.dumps((request, True, value), protocol=pickle.HIGHEST_PROTOCOL)
    except Exception as error:
        cause = f"{type(error).__name__}: {error}"
        return pickle.dumps((request, False, cause), protocol=pickle.HIGHEST_PROTOCOL)


def _end_with(parent: int) -> None:
    """Ends this process when its parent is gone, also in the middle of an operation."""
    while os.getppid() == parent:
        time.sleep(_WATCH_EVERY_S)
    os._exit(1)


def main() -> None:
    """Entry point of the worker process."""
    # Ctrl-C goes to the whole process group; the parent decides when workers end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=[os.getppid()], daemon=True).start()
    descriptor = int(sys.argv[1])
    # What a library prints must not end up among the parent's output.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    serve(descriptor)
