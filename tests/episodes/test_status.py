"""How a run is doing: what `status` says is so, whatever the clock and the causes do."""

import os
import sqlite3
import time

import pytest

from metaplan.core import Episode, MetaPlan, StopReason, Turn
from metaplan.episodes import RunStore, running_process
from metaplan.models import Completion, Usage
from metaplan.planners import PlanSample


def episode(number, *, reward=1.0, stop_reason=StopReason.SOLVED, cause=""):
    return Episode(
        key=f"{number:016x}",
        task_key=f"task/{number % 3}",
        environment="e",
        plan_key=None,
        placement=None,
        agent="a",
        repetition=0,
        turns=(Turn(reply="Action: x", action="x", observation="y", reward=reward),),
        reward=reward,
        success=reward == 1.0,
        stop_reason=stop_reason,
        cause=cause,
        prompt_tokens=7,
        completion_tokens=3,
        duration_s=0.5,
    )


def void(cause):
    return episode(1, reward=0.0, stop_reason=StopReason.MODEL_ERROR, cause=cause)


def test_void_attempts_are_counted_by_cause_and_enter_no_mean(tmp_path):
    with RunStore(tmp_path) as store:
        store.add_episode(episode(1, reward=1.0), "explore")
        for cause in ("outage", "outage", "another"):
            store.add_episode(void(cause), "explore")
        status = store.status()
        assert (status.episodes[0].episodes, status.episodes[0].reward) == (1, 1.0)
        assert {cause.cause: cause.count for cause in status.void} == {
            "model_error: outage": 2,
            "model_error: another": 1,
        }
        assert abs(status.void[0].newest_at - time.time()) < 60


def test_causes_that_differ_in_numbers_are_one_and_those_of_other_codes_are_not(tmp_path):
    with RunStore(tmp_path) as store:
        for number in range(300):
            said = f"http://10.0.0.{number}:{8000 + number}/v1, request 0x{number:08x}: HTTP"
            store.add_episode(void(f"{said} 503: overloaded for {number} s"), "explore")
        store.add_episode(void("http://10.0.0.1:80/v1, request 0xab: HTTP 500: broken"), "explore")
        status = store.status()
    assert [cause.count for cause in status.void] == [300, 1]
    assert "overloaded for 299 s" in status.void[0].cause  # the newest stands for them


def test_many_causes_do_not_flood(tmp_path):
    words = [f"{first}{second}" for first in "abcde" for second in "vwxyz"]
    with RunStore(tmp_path) as store:
        for word in words:
            store.add_episode(void(f"the server says {word}"), "explore")
        store.add_episode(void("the server says av"), "explore")
        status = store.status()
    assert (status.void_attempts, status.void_causes, len(status.void)) == (26, 25, 10)
    assert status.void[0].cause.endswith("av")


def test_what_void_attempts_and_plans_and_summaries_took_is_counted_by_role(tmp_path):
    usage = Usage(prompt_tokens=10, completion_tokens=4)
    with RunStore(tmp_path) as store:
        store.add_episode(episode(1), "explore")
        store.add_episode(episode(2), "evaluate")
        store.add_episode(void("outage"), "explore")
        sample = PlanSample(
            task_key="t", index=0, plan=MetaPlan(steps=("a",)), raw="raw", usage=usage
        )
        store.add_plan_samples("trained", [sample])
        store.add_plan_samples("gpt", [sample, sample.model_copy(update={"index": 1})])
        store.set_fact("prompted/gpt", True)
        store.add_completion("request", Completion(text="answer", usage=usage))
        tokens = store.status().tokens
        assert store.plan_samples("trained") == {"t": [sample]}
    assert {
        role: (used.prompt_tokens, used.completion_tokens) for role, used in tokens.items()
    } == {
        "agent": (14, 6),
        "agent, void attempts": (7, 3),
        "planner": (10, 4),
        "prompted planner": (20, 8),
        "summariser": (10, 4),
    }


def test_what_was_planned_is_missing_until_it_is_there(tmp_path):
    with RunStore(tmp_path) as store:
        store.set_missing("explore", 5)
        (summary,) = store.status().episodes  # before the first episode, too
        assert (summary.episodes, summary.missing, summary.at_most) == (0, 5, None)
        for number in range(3):
            store.add_episode(episode(number), "explore")
        (summary,) = store.status().episodes
        assert (summary.episodes, summary.missing) == (3, 2)
        store.set_missing("explore", 4, at_most=10)  # a round of an adaptive exploration
        store.add_episode(episode(3), "explore")
        (summary,) = store.status().episodes
        assert (summary.episodes, summary.missing, summary.at_most) == (4, 3, 9)
        store.begin_stage("explore")
        store.finish_stage("explore", {})  # it needed fewer
        assert store.status().episodes[0].at_most is None


@pytest.fixture
def clock(monkeypatch):
    """The machine's two clocks, set by hand."""

    class Clock:
        wall, ticks = 1_000_000.0, 50.0

        def advance(self, seconds):
            self.wall += seconds
            self.ticks += seconds

    found = Clock()
    monkeypatch.setattr(time, "time", lambda: found.wall)
    monkeypatch.setattr(time, "monotonic", lambda: found.ticks)
    return found


@pytest.mark.parametrize("jump_s", [0.0, -7200.0, 7200.0, -1e6, 1e9])
def test_a_clock_that_is_set_changes_no_rate(tmp_path, clock, jump_s):
    with RunStore(tmp_path) as store:
        store.set_missing("explore", 400)
        for number in range(300):
            clock.advance(0.5)
            if number == 250:
                clock.wall += jump_s
            store.add_episode(episode(number), "explore")
        rates = store.status().rates
    assert rates.episodes == pytest.approx(2.0)
    assert rates.turns == pytest.approx(2.0)
    assert (rates.prompt_tokens, rates.completion_tokens) == pytest.approx((14.0, 6.0))


def test_a_rate_is_that_of_the_newest_process_and_knows_no_pause(tmp_path, clock):
    with RunStore(tmp_path) as store:
        store.set_missing("explore", 100)
        for number in range(50):
            clock.advance(0.1)
            store.add_episode(episode(number), "explore")
    clock.advance(86_400.0)
    clock.wall -= 100_000.0  # and the clock was set back meanwhile
    with RunStore(tmp_path) as store:
        assert store.status().rates.episodes == pytest.approx(10.0)
        store.set_missing("explore", 50)
        assert store.status().rates.episodes == 0.0  # nothing is known of the new one yet
        for number in range(50, 53):
            clock.advance(4.0)
            store.add_episode(episode(number), "explore")
        assert store.status().rates.episodes == pytest.approx(0.25)


def test_rounds_that_follow_each_other_are_one_play_and_a_training_between_two_is_none(
    tmp_path, clock
):
    with RunStore(tmp_path) as store:
        for number in range(60):
            if number % 6 == 0:
                clock.advance(1.0)
                store.set_missing("explore", 6)
            clock.advance(0.5)
            store.add_episode(episode(number), "explore")
        assert store.status().rates.episodes == pytest.approx(60 / 39)
        clock.advance(3600.0)
        store.set_missing("evaluate", 10)
        clock.advance(0.25)
        store.add_episode(episode(60), "evaluate")
        assert store.status().rates.episodes == pytest.approx(4.0)


def test_a_rate_is_of_the_last_minute_or_of_ten_slow_episodes(tmp_path, clock):
    with RunStore(tmp_path) as store:
        store.set_missing("explore", 10_000)
        for number in range(600):
            clock.advance(0.1 if number < 300 else 1.0)
            store.add_episode(episode(number), "explore")
        assert store.status().rates.episodes == pytest.approx(1.0)
        for number in range(600, 620):
            clock.advance(300.0)
            store.add_episode(episode(number), "explore")
        assert store.status().rates.episodes == pytest.approx(1 / 300)


def test_times_that_make_no_sense_give_no_absurd_rate(tmp_path):
    """As an older Metaplan wrote them, by the wall clock alone."""
    with RunStore(tmp_path) as store:
        for number in range(100):
            store.add_episode(episode(number), "explore")
    connection = sqlite3.connect(tmp_path / "run.db")
    for times in ("1000.0 - rowid", "1000.0", "rowid * 0.5 - (rowid > 90) * 1e6"):
        connection.execute(f"UPDATE episodes SET finished_at = {times}")
        connection.commit()
        with RunStore(tmp_path, read_only=True) as store:
            assert 0.0 <= store.status().rates.episodes < 3.0
    connection.close()


def test_the_slowest_tasks_are_named_with_what_they_take(tmp_path):
    with RunStore(tmp_path) as store:
        for number in range(40):
            one = episode(number).model_copy(
                update={"task_key": f"task/{number % 8}", "duration_s": float(number)}
            )
            store.add_episode(one, "explore")
        slowest = store.status().slowest
    assert [task.task_key for task in slowest] == [f"task/{n}" for n in (7, 6, 5, 4, 3)]
    assert (slowest[0].mean_s, slowest[0].max_s, slowest[0].episodes) == (23.0, 39.0, 5)
    assert slowest[0].steps == 1.0


def test_a_run_of_the_paper_s_size_is_summed_up_at_once(tmp_path):
    RunStore(tmp_path).close()
    connection = sqlite3.connect(tmp_path / "run.db")
    rows = (
        (
            f"{number:016x}", "explore", 0, f"task/{number // 25}", "e", f"{number // 5:016x}",
            "instruction", "a", number % 5, 0.5, 1, "solved", 20, 30_000, 900, 1.5,
            1e9 + number * 0.1, "x" * 800,
        )
        for number in range(3321 * 25)
    )  # fmt: skip
    connection.executemany(f"INSERT INTO episodes VALUES ({', '.join('?' * 18)})", rows)
    voids = (
        (f"{n:016x}", "t", "model_error", f"no answer at port {n}", 1e9, 5, 1)
        for n in range(20_000)
    )
    connection.executemany("INSERT INTO voids VALUES (?, ?, ?, ?, ?, ?, ?)", voids)
    connection.commit()
    connection.close()
    with RunStore(tmp_path, read_only=True) as store:
        started = time.process_time()
        status = store.status()
        took_s = time.process_time() - started
    assert took_s < 1.0  # a tenth of it, mostly
    assert status.episodes[0].episodes == 83_025
    assert status.rates.episodes == pytest.approx(10.0)
    assert (status.void_attempts, status.void_causes) == (20_000, 1)


def test_who_works_is_known_by_the_lock_and_not_by_what_a_killed_process_left(tmp_path):
    assert running_process(tmp_path) is None
    with RunStore(tmp_path) as store:
        running = store.status().running
        assert running is not None
        assert running.pid == os.getpid()
        assert abs(running.since - time.time()) < 60
    assert (tmp_path / "run.lock").read_text().startswith(f"{os.getpid()} ")
    assert running_process(tmp_path) is None


def test_asking_who_works_keeps_nobody_from_beginning(tmp_path):
    RunStore(tmp_path).close()
    child = os.fork()
    if child == 0:
        while True:
            running_process(tmp_path)
    try:
        for _ in range(50):
            RunStore(tmp_path).close()
    finally:
        os.kill(child, 9)
        os.waitpid(child, 0)


def test_the_time_of_a_stage_that_is_under_way_counts(tmp_path, clock):
    with RunStore(tmp_path) as store:
        lock = tmp_path / "run.lock"
        os.utime(lock, (clock.wall, clock.wall))
        clock.advance(1.0)
        store.begin_stage("explore")
        clock.advance(90.0)
        assert store.status().stages["explore"].seconds == 90.0
        store.add_stage_time("explore", 90.0)  # interrupted
    clock.advance(1000.0)
    with RunStore(tmp_path) as store:
        os.utime(lock, (clock.wall, clock.wall))
        assert store.status().stages["explore"].seconds == 90.0
        store.begin_stage("explore")
        clock.advance(5.0)
        assert store.status().stages["explore"].seconds == 95.0
