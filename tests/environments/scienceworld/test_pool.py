"""ScienceWorld in environment workers: one JVM each, which fails for its own episodes alone."""

import asyncio
import os
import signal

import pytest

from metaplan.core import EnvironmentFault
from metaplan.episodes import EnvironmentPool


async def begin(pool, tasks):
    environments = [await pool.open(task) for task in tasks]
    await asyncio.gather(*(environment.reset() for environment in environments))
    return environments


async def attempt(environment):
    try:
        return (await environment.step("look around")).valid
    except EnvironmentFault as fault:
        return str(fault)


async def test_a_killed_jvm_voids_exactly_its_episodes(task, children, wait_until_gone):
    tasks = [task("boil", number) for number in range(8)]
    async with EnvironmentPool(2) as pool:
        environments = await begin(pool, tasks)
        workers = pool.processes
        jvms = {worker: children(worker) for worker in workers}
        assert [len(found) for found in jvms.values()] == [1, 1]
        doomed, spared = workers
        os.kill(jvms[doomed][0], signal.SIGKILL)
        answers = await asyncio.gather(*(attempt(environment) for environment in environments))
        hit = [environment._place.worker.pid == doomed for environment in environments]
        assert 0 < sum(hit) < len(hit)
        assert [answer is not True for answer in answers] == hit
        assert all(
            "JVM is gone" in answer for answer, was_hit in zip(answers, hit, strict=True) if was_hit
        )
        for environment in environments:
            await environment.close()
        again = await begin(pool, tasks)
        assert await asyncio.gather(*map(attempt, again)) == [True] * len(again)
        assert pool.processes == workers
        assert children(spared) == jvms[spared]
        assert children(doomed) != jvms[doomed]
        left = [jvm for worker in workers for jvm in children(worker)]
    assert wait_until_gone(left) == []


async def test_a_worker_that_is_killed_takes_its_jvm_along(task, children, wait_until_gone):
    async with EnvironmentPool(1) as pool:
        (environment,) = await begin(pool, [task("boil")])
        (worker,) = pool.processes
        jvms = children(worker)
        assert len(jvms) == 1
        os.kill(worker, signal.SIGKILL)
        with pytest.raises(EnvironmentFault, match="worker died"):
            await environment.step("look around")
        assert wait_until_gone(jvms) == []
