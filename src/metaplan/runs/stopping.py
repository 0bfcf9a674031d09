"""Stopping with what is under way finished: the first signal asks, the second one insists.

A terminal sends SIGINT (Ctrl-C), a cluster's scheduler SIGTERM some time before it ends a job.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["Interrupted", "Stopping", "stopping_on_signals"]

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(KeyboardInterrupt):
    """A signal has stopped the run; what was cheap to finish is finished and saved.

    Attributes:
        signal: Which one.
    """

    def __init__(self, number: int) -> None:
        super().__init__()
        self.signal = signal.Signals(number)


class Stopping:
    """Whether a signal has come.

    Args:
        on_request: Called when the first one comes.

    Attributes:
        event: Set from then on.
        signal: Which one came first; None before.
    """

    def __init__(self, on_request: Callable[[], None]) -> None:
        self.event = asyncio.Event()
        self.signal: int | None = None
        self._on_request = on_request
        self._work = asyncio.current_task()

    def request(self, number: int) -> None:
        """Asks the work to come to an end; the second time it is cancelled."""
        if self.signal is None:
            self.signal = number
            self.event.set()
            self._on_request()
        elif self._work is not None:
            self._work.cancel()


@contextmanager
def stopping_on_signals(on_request: Callable[[], None]) -> Iterator[Stopping]:
    """Lets signals ask the current asyncio task to stop, instead of ending it at once.

    Signals that the process ignores stay ignored. Outside of the main thread, where no signal
    comes, nothing is changed.

    Args:
        on_request: Called when the first signal comes.

    Raises:
        Interrupted: At the end, when a signal has come.
    """
    stopping = Stopping(on_request)
    loop = asyncio.get_running_loop()
    before = {}
    for number in _SIGNALS:
        if signal.getsignal(number) is signal.SIG_IGN:
            continue
        try:
            handler = signal.getsignal(number)
            loop.add_signal_handler(number, stopping.request, number)
        except (ValueError, RuntimeError):  # not the main thread
            break
        before[number] = handler
    try:
        yield stopping
    except asyncio.CancelledError:
        if stopping.signal is None:
            raise
    finally:
        for number, handler in before.items():
            loop.remove_signal_handler(number)
            signal.signal(number, handler)
    if stopping.signal is not None:
        raise Interrupted(stopping.signal)
