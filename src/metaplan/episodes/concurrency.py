"""Doing many things at a time, and some of them again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

from metaplan.core import EnvironmentFault, ModelFault
from metaplan.episodes.retry import RetryPolicy

__all__ = ["for_each", "retried"]

Item = TypeVar("Item")
Result = TypeVar("Result")


async def for_each(
    items: Iterable[Item], work: Callable[[Item], Awaitable[None]], *, limit: int
) -> None:
    """Works on all items, at most `limit` at a time, in their order.

    Raises:
        Exception: The first error of `work`, itself; what was under way is cancelled.
    """
    queue = iter(items)

    async def worker() -> None:
        for item in queue:
            await work(item)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(limit):
                group.create_task(worker())
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None


async def retried(work: Callable[[], Awaitable[Result]], policy: RetryPolicy) -> Result:
    """Does a thing again after faults, as the policy allows.

    Raises:
        EnvironmentFault: The last fault, when no attempt is left.
        ModelFault: Likewise.
    """
    for attempt in range(1, policy.attempts):
        try:
            return await work()
        except (EnvironmentFault, ModelFault):
            await asyncio.sleep(policy.wait_s(attempt))
    return await work()
