"""Which episode is next: in order, void ones again after a wait, none for ever."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metaplan.core import Episode, EpisodeSpec, StopReason, Task
from metaplan.episodes import RetryPolicy
from metaplan.episodes.backlog import Backlog

OUTCOMES = (StopReason.SOLVED, StopReason.MODEL_ERROR, StopReason.CANCELLED)


def spec(number: int) -> EpisodeSpec:
    task = Task(key=f"k/{number}", benchmark="b", task_set="s", task_type="t")
    return EpisodeSpec(task=task, environment="e", plan=None, placement=None, agent="a")


def ended(wanted: EpisodeSpec, reason: StopReason) -> Episode:
    return Episode(
        key=wanted.key,
        task_key=wanted.task.key,
        environment="e",
        plan_key=None,
        placement=None,
        agent="a",
        repetition=0,
        turns=(),
        reward=0.0,
        success=False,
        stop_reason=reason,
        cause="why" if reason.is_void else "",
    )


async def test_a_void_episode_comes_again_before_those_that_were_never_tried():
    backlog = Backlog([spec(0), spec(1), spec(2)], RetryPolicy(attempts=3, first_wait_s=0.0))
    first = await backlog.next()
    backlog.settle(first, ended(first.spec, StopReason.MODEL_ERROR))
    assert (await backlog.next()).spec.task.key == "k/0"
    assert (await backlog.next()).spec.task.key == "k/1"


async def test_a_wait_holds_nobody_up():
    backlog = Backlog([spec(0), spec(1)], RetryPolicy(attempts=3, first_wait_s=0.3))
    started = asyncio.get_running_loop().time()
    first = await backlog.next()
    backlog.settle(first, ended(first.spec, StopReason.MODEL_ERROR))
    second = await backlog.next()
    assert second.spec.task.key == "k/1"
    assert asyncio.get_running_loop().time() - started < 0.2
    backlog.settle(second, ended(second.spec, StopReason.SOLVED))
    assert (await backlog.next()).spec.task.key == "k/0"
    assert asyncio.get_running_loop().time() - started >= 0.3


async def test_being_cut_off_by_another_uses_up_no_attempt():
    backlog = Backlog([spec(0)], RetryPolicy(attempts=2, first_wait_s=0.0))
    for _ in range(9):
        attempt = await backlog.next()
        backlog.settle(attempt, ended(attempt.spec, StopReason.CANCELLED))
    attempt = await backlog.next()
    assert (attempt.faults, attempt.cancelled) == (0, 9)
    backlog.settle(attempt, ended(attempt.spec, StopReason.ENVIRONMENT_ERROR))
    assert backlog.void == []
    attempt = await backlog.next()
    backlog.settle(attempt, ended(attempt.spec, StopReason.CANCELLED))  # the tenth: suspicious
    assert backlog.void == [attempt.spec.key]


async def test_whoever_waits_is_told_when_nothing_will_come_and_when_to_stop():
    backlog = Backlog([spec(0), spec(1)], RetryPolicy())
    one, other = await backlog.next(), await backlog.next()
    waiting = [asyncio.create_task(backlog.next()) for _ in range(3)]
    await asyncio.sleep(0.01)
    backlog.settle(one, ended(one.spec, StopReason.SOLVED))
    assert not any(task.done() for task in waiting)  # the other one may come back
    backlog.settle(other, ended(other.spec, StopReason.SOLVED))
    assert await asyncio.gather(*waiting) == [None] * 3

    stopped = Backlog([spec(0)], RetryPolicy())
    attempt = await stopped.next()
    waiting = [asyncio.create_task(stopped.next())]
    await asyncio.sleep(0.01)
    stopped.stop()
    assert await asyncio.gather(*waiting) == [None]
    stopped.settle(attempt, ended(attempt.spec, StopReason.SOLVED))
    assert stopped.unsettled == 0


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@given(
    st.integers(1, 5),
    st.integers(1, 4),
    st.integers(1, 4),
    st.randoms(use_true_random=False),
)
def test_each_episode_is_tried_until_it_counts_or_its_attempts_are_used_up(
    episodes, slots, attempts, dice
):
    tries: dict[str, list[StopReason]] = {}

    async def play(backlog: Backlog) -> None:
        while (attempt := await backlog.next()) is not None:
            await asyncio.sleep(0)
            reason = dice.choice(OUTCOMES)
            tries.setdefault(attempt.spec.key, []).append(reason)
            backlog.settle(attempt, ended(attempt.spec, reason))

    async def main() -> Backlog:
        policy = RetryPolicy(attempts=attempts, first_wait_s=0.0)
        backlog = Backlog([spec(number) for number in range(episodes)], policy)
        await asyncio.gather(*(play(backlog) for _ in range(slots)))
        return backlog

    backlog = asyncio.run(main())
    assert backlog.unsettled == 0
    assert len(tries) == episodes
    for key, reasons in tries.items():
        faults = reasons.count(StopReason.MODEL_ERROR)
        assert (reasons[-1] is StopReason.SOLVED) == (key not in backlog.void)
        assert StopReason.SOLVED not in reasons[:-1]
        assert faults <= attempts
        assert key not in backlog.void or faults + len(reasons) // 10 >= attempts
