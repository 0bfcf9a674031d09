"""What the pool needs of a place where environment workers run."""

from __future__ import annotations

from typing import Any, Protocol

__all__ = ["Executor", "Worker"]


class Worker(Protocol):
    """One environment worker: an `EnvironmentHost`, somewhere."""

    @property
    def pid(self) -> int:
        """Its process, on its machine."""

    @property
    def alive(self) -> bool:
        """False once it can't be reached any more, for good."""

    @property
    def ending(self) -> str:
        """How it ended, in words; empty while it is alive."""

    async def ask(self, operation: str, arguments: tuple[Any, ...], timeout_s: float) -> Any:
        """Has the host do an operation; the pool sends one at a time.

        Raises:
            EnvironmentFault: The environment broke; or the worker died or hung in this operation,
                and is not alive any more.
        """

    def post(self, operation: str, arguments: tuple[Any, ...]) -> None:
        """Sends a request whose answer nobody waits for; does nothing where it is not alive."""

    async def close(self) -> None:
        """Ends it, by force if it is busy. Safe to call twice."""


class Executor(Protocol):
    """Where workers run."""

    async def cores(self) -> int:
        """How many workers keep it busy."""

    async def start_worker(self) -> Worker:
        """Starts one.

        Raises:
            RunError: There is no place for it; the message says what to do.
        """

    async def close(self) -> None:
        """Frees what is held beside the workers. Safe to call twice."""
