"""An engine in a process of its own: Python's lock hardly lets threads generate side by side."""

from __future__ import annotations

import contextlib
import os
import subprocess
import threading
from concurrent.futures import Future
from itertools import count
from multiprocessing import Pipe
from multiprocessing.connection import Connection

from metaplan.core import ModelFault, child_command, how_it_ended
from metaplan.models.contract import Completion
from metaplan.models.local.process import Answer, Ask, Cancel, Setting
from metaplan.models.local.row import Row

__all__ = ["EngineProcess"]


class EngineProcess:
    """Has rows answered by a process, as a `Worker` has by a thread.

    When the process dies, the rows that it had been given fail with `ModelFault`, and the next row
    starts another one.

    Args:
        setting: What it generates with.
    """

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        self._child = _Child(setting)

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._child.process.pid

    def put(self, row: Row) -> None:
        """Has a row answered."""
        while not self._child.take(row):
            self._child = _Child(self._setting)

    def close(self) -> None:
        """Lets the process end once the rows already given are answered."""
        self._child.close()

    def join(self) -> None:
        """Waits until it has ended."""
        self._child.join()


class _Child:
    """A process, and the rows that it is to answer."""

    def __init__(self, setting: Setting) -> None:
        self._name = setting.name
        self._connection, theirs = Pipe()
        self.process = _start(theirs)
        self._rows: dict[int, Row] = {}
        self._numbers = count()
        self._alive = True
        self._lock = threading.Lock()
        self._send(setting)
        self._listener = threading.Thread(target=self._listen, name="metaplan-local", daemon=True)
        self._listener.start()

    def take(self, row: Row) -> bool:
        """Hands a row over; False where the process has ended."""
        with self._lock:
            if not self._alive:
                return False
            number = next(self._numbers)
            self._rows[number] = row
            self._send(Ask(number, row.prompt, row.sampling, row.seed, row.session))
        row.future.add_done_callback(lambda future: self._withdraw(number, future))
        return True

    def close(self) -> None:
        with self._lock:
            self._send(None)

    def join(self) -> None:
        self._listener.join()

    def _withdraw(self, number: int, future: Future[Completion]) -> None:
        if future.cancelled():
            with self._lock:
                self._rows.pop(number, None)
                self._send(Cancel(number))

    def _send(self, what: Setting | Ask | Cancel | None) -> None:
        with contextlib.suppress(OSError):  # It has ended: who listens will notice.
            self._connection.send(what)

    def _listen(self) -> None:
        """Hands out answers until the process ends."""
        try:
            while True:
                self._hand_out(self._connection.recv())
        except (EOFError, OSError):
            code = self.process.wait()
        with self._lock:
            self._alive = False
            left, self._rows = list(self._rows.values()), {}
            self._connection.close()
        for row in left:
            _fail(row, f"{self._name}: the process that generates ended ({how_it_ended(code)})")

    def _hand_out(self, answer: Answer) -> None:
        with self._lock:
            row = self._rows.pop(answer.number, None)
        if row is None:  # cancelled
            return
        if answer.completion is None:
            _fail(row, answer.problem)
        elif row.future.set_running_or_notify_cancel():
            row.future.set_result(answer.completion)


def _start(theirs: Connection) -> subprocess.Popen[bytes]:
    """Starts a process that inherits its end of a connection, which is closed here."""
    with theirs:
        return subprocess.Popen(  # noqa: S603 (a list of arguments, no shell)
            child_command("metaplan.models.local.process", theirs.fileno()),
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            # Ctrl-C goes to all processes of a terminal; the parent says when engines end.
            start_new_session=True,
        )


def _fail(row: Row, problem: str) -> None:
    if row.future.set_running_or_notify_cancel():
        row.future.set_exception(ModelFault(problem))
