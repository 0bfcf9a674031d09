"""Environment worker processes, seen from asyncio.

Simulators are slow pure-Python or JVM code and not thread-safe, so they live in processes. A
task goes to the worker that has it loaded already, else to the one with the least to do. A
worker that dies or hangs faults the episodes on it and is replaced.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import pickle
import socket
import sys
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Self, cast

from metaplan.core import EnvironmentFault, ExpertTrajectory, Task
from metaplan.environments import Observation, StepResult
from metaplan.episodes.worker import FRAME_HEADER, LOADED_TASKS_KEPT

__all__ = ["EnvironmentPool", "RemoteEnvironment"]


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
            "-m",
            "metaplan.episodes.worker",
            str(theirs.fileno()),
            pass_fds=[theirs.fileno()],
            stdin=asyncio.subprocess.DEVNULL,
        )
        theirs.close()
        reader, writer = await asyncio.open_connection(sock=ours)
        return cls(process, reader, writer)

    async def _listen(self) -> None:
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
            for future in self._waiting.values():
                if not future.done():
                    future.set_exception(EnvironmentFault("the environment worker died"))
            self._waiting.clear()

    async def call(self, operation: str, *arguments: Any, timeout_s: float) -> Any:
        """Sends one request when its turn comes, and waits for the answer."""
        self.outstanding += 1
        try:
            async with self._turn:  # one at a time: the time-out then is the operation's own
                return await self._exchange(operation, arguments, timeout_s)
        finally:
            self.outstanding -= 1

    async def _exchange(self, operation: str, arguments: tuple[Any, ...], timeout_s: float) -> Any:
        if not self.alive:
            raise EnvironmentFault("the environment worker died")
        request = next(self._requests)
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting[request] = future
        payload = pickle.dumps((request, operation, arguments), protocol=pickle.HIGHEST_PROTOCOL)
        try:
            self._writer.write(FRAME_HEADER.pack(len(payload)) + payload)
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

    async def close(self) -> None:
        self.alive = False
        self._writer.close()
        try:
            async with asyncio.timeout(2):
                await self.process.wait()
        except TimeoutError:
            self.kill()
            await self.process.wait()
        self._listener.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._listener


class RemoteEnvironment:
    """One episode's environment in a worker process."""

    def __init__(
        self,
        call: Callable[..., Awaitable[Any]],
        release: Callable[[], None],
        task: Task,
        number: int,
    ) -> None:
        self._call = call
        self._release = release
        self._task = task
        self._number = number
        self._open = True

    async def reset(self) -> Observation:
        """Starts the episode.

        Raises:
            EnvironmentFault: The worker died, hung, or its environment raised.
        """
        return cast("Observation", await self._call("reset", self._number, self._task))

    async def step(self, action: str) -> StepResult:
        """Does one action.

        Raises:
            EnvironmentFault: The worker died, hung, or its environment raised.
        """
        return cast("StepResult", await self._call("step", self._number, action))

    async def close(self) -> None:
        """Frees the environment; never raises."""
        if self._open:
            self._open = False
            self._release()
            with contextlib.suppress(EnvironmentFault):
                await self._call("close", self._number)


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
        self.restarts = 0

    async def __aenter__(self) -> Self:
        await self._fill()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        workers, self._workers = self._workers, []
        await asyncio.gather(*(worker.close() for worker in workers))

    @property
    def processes(self) -> list[int]:
        """Process ids of the workers that are alive."""
        return [worker.process.pid for worker in self._workers if worker.alive]

    async def _fill(self) -> None:
        async with self._lock:
            dead = [worker for worker in self._workers if not worker.alive]
            self.restarts += len(dead)
            for worker in dead:
                self._workers.remove(worker)
                await worker.close()
            while len(self._workers) < self._size:
                self._workers.append(await _Connection.start())

    async def _worker_for(self, task: Task) -> _Connection:
        if len(self._workers) < self._size or not all(worker.alive for worker in self._workers):
            await self._fill()
        name = (task.task_set, task.key)
        idlest = min(self._workers, key=lambda worker: (worker.outstanding, worker.environments))
        holders = [worker for worker in self._workers if name in worker.loaded]
        worker = min(holders, key=lambda holder: holder.outstanding, default=idlest)
        worker.loaded[name] = None
        worker.loaded.move_to_end(name)
        while len(worker.loaded) > LOADED_TASKS_KEPT:
            worker.loaded.popitem(last=False)
        return worker

    async def open(self, task: Task) -> RemoteEnvironment:
        """Makes an environment for one episode of a task; `reset` does the loading."""
        worker = await self._worker_for(task)
        worker.environments += 1

        async def call(operation: str, *arguments: Any) -> Any:
            return await worker.call(operation, *arguments, timeout_s=self._timeout_s)

        def release() -> None:
            worker.environments -= 1

        return RemoteEnvironment(call, release, task, next(self._numbers))

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
