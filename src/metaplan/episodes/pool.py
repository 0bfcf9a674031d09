"""Environment worker processes, seen from asyncio.

Simulators are slow pure-Python or JVM code and not thread-safe, so they live in processes. A
task goes to a worker that has it loaded already, unless there is a queue and another worker is
idle; else to the one with the least to do. A worker that dies or hangs faults the episodes on it
and is replaced.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import pickle
import signal
import socket
import sys
from collections import OrderedDict
from types import TracebackType
from typing import Any, Self, cast

from metaplan.core import EnvironmentFault, ExpertTrajectory, Task
from metaplan.environments import Observation, StepResult
from metaplan.episodes.worker import FRAME_HEADER, LOADED_TASKS_KEPT

__all__ = ["EnvironmentPool", "RemoteEnvironment"]

_CLOSE_WAIT_S = 2.0
_LONG_QUEUE = 4  # operations; waiting for so many costs more than loading the task once more


class _Connection:
    """One worker process and the requests that wait for its answers."""

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self.process = process
        self.loaded: OrderedDict[tuple[str, str], None] = OrderedDict()
        self.environments = 0
        self.outstanding = 0
        self.alive = True
        self._turn = asyncio.Lock()
        self._reader = reader
        self._writer = writer
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._requests = itertools.count()
        self._listener = asyncio.create_task(self._listen())

    @classmethod
    async def start(cls) -> _Connection:
        ours, theirs = socket.socketpair()
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",  # what lies in the current directory is no package
            "-c",
            "from metaplan.episodes.worker import main; main()",
            str(theirs.fileno()),
            pass_fds=[theirs.fileno()],
            stdin=asyncio.subprocess.DEVNULL,
        )
        theirs.close()
        reader, writer = await asyncio.open_connection(sock=ours)
        return cls(process, reader, writer)

    async def _listen(self) -> None:
        """Hands out answers until the process ends or says something senseless."""
        try:
            while True:
                header = await self._reader.readexactly(FRAME_HEADER.size)
                payload = await self._reader.readexactly(*FRAME_HEADER.unpack(header))
                # Pickles come from our own child process over a private socket pair.
                request, fine, value = pickle.loads(payload)  # noqa: S301
                future = self._waiting.pop(request, None)
                if future is None or future.done():
                    continue
                if fine:
                    future.set_result(value)
                else:
                    future.set_exception(EnvironmentFault(value))
        except (asyncio.IncompleteReadError, ConnectionError):
            self.alive = False
            self._fault_all(_died(await self._end()))
        except Exception as error:  # a class that can't be read here, for example
            self.kill()
            self._fault_all(f"the environment worker's answer can't be read: {error}")

    def _fault_all(self, cause: str) -> None:
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(EnvironmentFault(cause))
        self._waiting.clear()

    async def call(self, operation: str, *arguments: Any, timeout_s: float) -> Any:
        """Sends one request when its turn comes, and waits for the answer."""
        self.outstanding += 1
        try:
            async with self._turn:  # one at a time: the time-out then is the operation's own
                return await self._exchange(operation, arguments, timeout_s)
        finally:
            self.outstanding -= 1

    def post(self, operation: str, *arguments: Any) -> None:
        """Sends a request whose answer nobody waits for."""
        if self.alive:
            self._send(next(self._requests), operation, arguments)

    def _send(self, request: int, operation: str, arguments: tuple[Any, ...]) -> None:
        payload = pickle.dumps((request, operation, arguments), protocol=pickle.HIGHEST_PROTOCOL)
        self._writer.write(FRAME_HEADER.pack(len(payload)) + payload)

    async def _exchange(self, operation: str, arguments: tuple[Any, ...], timeout_s: float) -> Any:
        if not self.alive:
            raise EnvironmentFault("the environment worker died")
        request = next(self._requests)
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting[request] = future
        try:
            self._send(request, operation, arguments)
            async with asyncio.timeout(timeout_s):
                return await future
        except TimeoutError:
            self.kill()
            raise EnvironmentFault(
                f"the environment did not answer '{operation}' within {timeout_s:g} s"
            ) from None
        finally:
            self._waiting.pop(request, None)

    def kill(self) -> None:
        self.alive = False
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()

    async def _end(self) -> int:
        """The exit code; a process that does not end by itself is killed.

        Not at once: a signal to a process that has just ended loses its exit code.
        """
        try:
            async with asyncio.timeout(_CLOSE_WAIT_S):
                return await self.process.wait()
        except TimeoutError:
            self.kill()
            return await self.process.wait()

    async def close(self) -> None:
        self.alive = False
        self._writer.close()
        await self._end()
        self._listener.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._listener


def _died(code: int) -> str:
    how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
    return f"the environment worker died ({how})"


class RemoteEnvironment:
    """One episode's environment in a worker process; `EnvironmentPool.open` makes it."""

    def __init__(self, worker: _Connection, task: Task, number: int, timeout_s: float) -> None:
        self._worker = worker
        self._task = task
        self._number = number
        self._timeout_s = timeout_s
        self._open = True
        worker.environments += 1

    async def reset(self) -> Observation:
        """Starts the episode.

        Raises:
            EnvironmentFault: The worker died, hung, or its environment raised.
        """
        return cast("Observation", await self._call("reset", self._task))

    async def step(self, action: str) -> StepResult:
        """Does one action.

        Raises:
            EnvironmentFault: The worker died, hung, or its environment raised.
        """
        return cast("StepResult", await self._call("step", action))

    async def _call(self, operation: str, argument: Any) -> Any:
        return await self._worker.call(operation, self._number, argument, timeout_s=self._timeout_s)

    async def close(self) -> None:
        """Frees the environment, without waiting for a worker that is busy; never raises."""
        if self._open:
            self._open = False
            self._worker.environments -= 1
            self._worker.post("close", self._number)


class EnvironmentPool:
    """A fixed number of worker processes; use as an async context manager.

    Args:
        workers: Processes; one a core is right where the environment is the work.
        timeout_s: Seconds that one operation (a load, a step) may take before its worker is
            killed and replaced; waiting for one's turn in the worker does not count.
    """

    def __init__(self, workers: int, *, timeout_s: float = 120.0) -> None:
        if workers < 1:
            raise ValueError(f"workers must be at least 1, got {workers}")
        self._size = workers
        self._timeout_s = timeout_s
        self._workers: list[_Connection] = []
        self._numbers = itertools.count()
        self._lock = asyncio.Lock()
        self._closed = False
        self.restarts = 0

    async def start(self) -> None:
        """Starts the worker processes."""
        await self._fill()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Ends the worker processes, busy ones by force. Safe to call twice."""
        self._closed = True
        async with self._lock:  # not while a dead worker is being replaced
            workers, self._workers = self._workers, []
            await asyncio.gather(*(worker.close() for worker in workers))

    @property
    def processes(self) -> list[int]:
        """Process ids of the workers that are alive."""
        return [worker.process.pid for worker in self._workers if worker.alive]

    @property
    def environments(self) -> int:
        """Open environments, over all workers."""
        return sum(worker.environments for worker in self._workers)

    async def _fill(self) -> None:
        async with self._lock:
            dead = [worker for worker in self._workers if not worker.alive]
            self.restarts += len(dead)
            for worker in dead:
                self._workers.remove(worker)
                await worker.close()
            while len(self._workers) < self._size and not self._closed:
                self._workers.append(await _Connection.start())

    async def _worker_for(self, task: Task) -> _Connection:
        if len(self._workers) < self._size or not all(worker.alive for worker in self._workers):
            await self._fill()
        if self._closed:
            raise EnvironmentFault("the environment workers have been closed")
        name = (task.task_set, task.key)
        worker = self._choose(name)
        worker.loaded[name] = None
        worker.loaded.move_to_end(name)
        while len(worker.loaded) > LOADED_TASKS_KEPT:
            worker.loaded.popitem(last=False)
        return worker

    def _choose(self, name: tuple[str, str]) -> _Connection:
        idlest = min(self._workers, key=lambda worker: (worker.outstanding, worker.environments))
        holders = [worker for worker in self._workers if name in worker.loaded]
        holder = min(holders, key=lambda holder: holder.outstanding, default=idlest)
        crowded = holder.outstanding >= _LONG_QUEUE and idlest.outstanding == 0
        return idlest if crowded else holder

    async def open(self, task: Task) -> RemoteEnvironment:
        """Makes an environment for one episode of a task; `reset` does the loading.

        Raises:
            EnvironmentFault: The pool is closed.
        """
        worker = await self._worker_for(task)
        return RemoteEnvironment(worker, task, next(self._numbers), self._timeout_s)

    async def describe(self, task: Task) -> Task:
        """The task with its instruction: what a reset shows.

        Raises:
            EnvironmentFault: The task can't be loaded.
        """
        worker = await self._worker_for(task)
        text = await worker.call("describe", task, timeout_s=self._timeout_s)
        return task.model_copy(update={"instruction": text})

    async def expert(self, task: Task) -> ExpertTrajectory:
        """The expert's trajectory of a task.

        Raises:
            EnvironmentFault: There is no expert, or it failed.
        """
        worker = await self._worker_for(task)
        answer = await worker.call("expert", task, timeout_s=self._timeout_s)
        return cast("ExpertTrajectory", answer)
