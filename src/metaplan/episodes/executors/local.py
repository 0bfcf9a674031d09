"""Workers as processes of this machine."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import itertools
import os
import pickle
import socket
import sys
from typing import Any

from metaplan.core import EnvironmentFault, RunError, child_command, how_it_ended
from metaplan.episodes.executors.process import FRAME_HEADER

__all__ = ["LocalExecutor", "LocalWorker"]

_CLOSE_WAIT_S = 2.0


class LocalExecutor:
    """Starts worker processes here (an `Executor`)."""

    async def cores(self) -> int:
        """Of this machine."""
        return os.cpu_count() or 1

    async def start_worker(self) -> LocalWorker:
        """Starts a process; it loads its modules while others are started.

        Raises:
            RunError: The operating system refuses.
        """
        try:
            return await self._start_process()
        except OSError as error:
            limit = error.errno in {errno.EMFILE, errno.ENFILE}
            remedy = "raise the limit (ulimit -n 65536)" if limit else "put that right"
            raise RunError(
                f"can't start an environment worker with {sys.executable}: {error.strerror}. "
                f"Finished episodes are saved; {remedy}, then give the same command again"
            ) from None

    async def _start_process(self) -> LocalWorker:
        ours, theirs = socket.socketpair()
        try:
            process = await asyncio.create_subprocess_exec(
                *child_command("metaplan.episodes.executors.process", theirs.fileno()),
                pass_fds=[theirs.fileno()],
                stdin=asyncio.subprocess.DEVNULL,
                # Ctrl-C goes to all processes of a terminal; the parent says when workers end.
                start_new_session=True,
            )
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        reader, writer = await asyncio.open_connection(sock=ours)
        return LocalWorker(process, reader, writer)

    async def close(self) -> None:
        """Holds nothing beside the workers."""


class LocalWorker:
    """A worker process, and who waits for its answers (a `Worker`)."""

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self.ending = ""
        self._process = process
        self._reader = reader
        self._writer = writer
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._requests = itertools.count()
        self._listener = asyncio.create_task(self._listen())

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Until it ended, or was given up."""
        return not self.ending

    async def ask(self, operation: str, arguments: tuple[Any, ...], timeout_s: float) -> Any:
        """See `Worker.ask`."""
        request = next(self._requests)
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting[request] = future
        try:
            self._send(request, operation, arguments)
            async with asyncio.timeout(timeout_s):
                return await future
        except TimeoutError:
            self._kill("the environment worker hung")
            raise EnvironmentFault(
                f"the environment did not answer '{operation}' within {timeout_s:g} s"
            ) from None
        finally:
            self._waiting.pop(request, None)

    def post(self, operation: str, arguments: tuple[Any, ...]) -> None:
        """See `Worker.post`."""
        if self.alive:
            self._send(next(self._requests), operation, arguments)

    async def close(self) -> None:
        """See `Worker.close`."""
        self.ending = self.ending or "the environment worker has been closed"
        self._writer.close()
        await self._end()
        # It ends by itself, and says how the worker died; something that the worker started may
        # keep the connection open.
        await asyncio.wait((self._listener,), timeout=_CLOSE_WAIT_S)
        self._listener.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._listener

    def _send(self, request: int, operation: str, arguments: tuple[Any, ...]) -> None:
        payload = pickle.dumps((request, operation, arguments), protocol=pickle.HIGHEST_PROTOCOL)
        self._writer.write(FRAME_HEADER.pack(len(payload)) + payload)

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
            if self.alive:
                self.ending = "the environment worker died"  # how follows
                self.ending = _died(await self._end())
        except Exception as error:  # a class that can't be read here, for example
            self._kill(f"the environment worker's answer can't be read: {error}")
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(EnvironmentFault(self.ending))
        self._waiting.clear()

    def _kill(self, ending: str) -> None:
        self.ending = ending
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()

    async def _end(self) -> int:
        """The exit code; a process that does not end by itself is killed.

        Not at once: a signal to a process that has just ended loses its exit code.
        """
        try:
            async with asyncio.timeout(_CLOSE_WAIT_S):
                return await self._process.wait()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            return await self._process.wait()


def _died(code: int) -> str:
    return f"the environment worker died ({how_it_ended(code)})"
