import asyncio

import pytest

from metaplan.core import EnvironmentFault, UserError
from metaplan.episodes import RetryPolicy, for_each, retried


async def test_items_are_worked_on_in_order_and_no_more_than_the_limit_at_a_time():
    begun, running, most = [], 0, 0

    async def work(item):
        nonlocal running, most
        begun.append(item)
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.001)
        running -= 1

    await for_each(range(20), work, limit=3)
    assert begun == list(range(20))
    assert most == 3


async def test_the_first_error_comes_out_as_itself_and_stops_the_rest():
    cancelled = []

    async def work(item):
        if item == 1:
            raise UserError("item 1 is wrong")
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.append(item)
            raise

    with pytest.raises(UserError, match="item 1 is wrong"):
        await for_each(range(5), work, limit=3)
    assert sorted(cancelled) == [0, 2]


@pytest.mark.parametrize(("attempts", "works"), [(3, True), (2, False)])
async def test_faults_are_retried_as_often_as_allowed(attempts, works):
    calls = 0

    async def work():
        nonlocal calls
        calls += 1
        if calls < 3:
            raise EnvironmentFault(f"call {calls}")
        return "done"

    policy = RetryPolicy(attempts=attempts, first_wait_s=0.0)
    if works:
        assert await retried(work, policy) == "done"
    else:
        with pytest.raises(EnvironmentFault, match="call 2"):
            await retried(work, policy)
    assert calls == attempts
