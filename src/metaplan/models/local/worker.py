"""A thread that answers requests with an engine."""

from __future__ import annotations

import queue
import threading

from metaplan.core import ModelFault
from metaplan.models.local.row import Engine, Row

__all__ = ["Worker"]


class Worker:
    """Takes up rows as there is room for them, and generates until closed and done.

    Args:
        engine: Generates.
        name: Of the model, for messages.
        alone: Whether each computation keeps to this thread.
    """

    def __init__(self, engine: Engine, name: str, *, alone: bool) -> None:
        self.engine = engine
        self._name = name
        self._alone = alone
        self._queue: queue.SimpleQueue[Row | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="metaplan-local", daemon=True)
        self._thread.start()

    def put(self, row: Row) -> None:
        """Has a row answered."""
        self._queue.put(row)

    def close(self) -> None:
        """Lets the thread end once the rows already given are answered."""
        self._queue.put(None)

    def join(self) -> None:
        """Waits until it has ended."""
        self._thread.join()

    def _work(self) -> None:
        import torch

        if self._alone:
            torch.set_num_threads(1)  # of this thread's computations
        open_ = True
        while open_ or self.engine.rows:
            open_ = self._take_up() and open_
            try:
                self.engine.step()
            except Exception as error:  # an engine failure voids these rows' episodes, no others
                failed = self.engine.rows
                self.engine.drop()
                for row in failed:
                    if not row.future.done() and row.future.set_running_or_notify_cancel():
                        cause = f"{self._name}: {type(error).__name__}: {error}"
                        row.future.set_exception(ModelFault(cause))

    def _take_up(self) -> bool:
        """Hands the engine what has been asked for, waits if it has nothing; False once closed."""
        idle = not self.engine.rows
        while self.engine.room > 0:
            try:
                if idle and self.engine.rows:
                    row = self._queue.get(timeout=self.engine.gather_s)
                else:
                    row = self._queue.get(block=idle)
            except queue.Empty:
                break
            if row is None:
                self._queue.put(None)  # for the next call
                return False
            if not row.future.cancelled():
                self.engine.add(row)
        return True
