"""Ctrl-C, and a cluster's scheduler that ends a job: what is under way is finished, and said."""

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from openai_server import OpenAIServer
from processes import descendants, wait_until_gone

from metaplan.episodes import RunStore
from metaplan.models import PlanFollower

RECIPE = """\
name: signals
benchmark: household
tasks:
  train: {{task_set: train, count: 1}}
  evaluate: {{seen: {{task_set: seen, count: 4}}}}
agent:
  model: served
  served: {{model: follower, urls: [{url}], attempts: 1}}
  profile: compact
evaluate: {{methods: [none], episodes_per_task: 7}}
runtime: {{workers: 1, concurrency: 8, grace_s: {grace_s}}}
"""
PLANNED = 28


class Slow(PlanFollower):
    """Takes its time; `wait_s` may be changed."""

    wait_s = 0.05

    async def complete(self, *arguments, **options):
        await asyncio.sleep(self.wait_s)
        return await super().complete(*arguments, **options)


@pytest.fixture
def server() -> Iterator[OpenAIServer]:
    with OpenAIServer(Slow()) as serving:
        yield serving


class Command:
    """`metaplan evaluate` in a terminal of its own."""

    def __init__(self, words: list[str], out: Path) -> None:
        self.out = out
        self.process = subprocess.Popen(
            words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
        )

    def finished(self) -> set[str]:
        with RunStore(self.out, read_only=True) as store:
            return store.finished_keys()

    def wait_for(self, episodes: int) -> None:
        """Until so many episodes are finished."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            time.sleep(0.02)
            if (self.out / "versions.json").exists() and len(self.finished()) >= episodes:
                return
        raise TimeoutError(self.process.communicate(timeout=1))

    def send(self, number: signal.Signals) -> None:
        """To all processes, as a terminal and a cluster's scheduler do."""
        self.workers = descendants(self.process.pid)
        os.killpg(self.process.pid, number)

    def end(self) -> tuple[int, str]:
        """Exit code and what was said."""
        out, said = self.process.communicate(timeout=60)
        assert "Traceback" not in said
        assert out == ""
        assert wait_until_gone(self.workers) == []
        return self.process.returncode, said


@pytest.fixture
def start(server, tmp_path, metaplan_command):
    """Starts the command, the same each time."""
    started = []

    def start(grace_s: float = 30.0) -> Command:
        recipe = tmp_path / "recipe.yaml"
        recipe.write_text(RECIPE.format(url=server.url, grace_s=grace_s))
        out = tmp_path / "run"
        words = metaplan_command.command("evaluate", recipe, "--out", out)
        started.append(Command(words, out))
        return started[-1]

    yield start
    for command in started:
        if command.process.poll() is None:
            command.process.kill()
            command.process.communicate()


@pytest.mark.parametrize(
    ("number", "exit_code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["INT", "TERM"]
)
def test_what_is_under_way_is_finished_and_the_same_command_goes_on(start, number, exit_code):
    command = start()
    command.wait_for(2)
    command.send(number)
    before = len(command.finished())
    code, said = command.end()
    assert code == exit_code
    assert "stopping: 8 episodes in flight get up to 30 s" in said
    assert "the same command goes on from here" in said
    with RunStore(command.out, read_only=True) as store:
        kept = store.finished_keys()
        assert not store.status().void
    assert before < len(kept) < before + 16  # some begin before the signal arrives
    assert not list(command.out.glob("*.partial"))
    again = start()
    again.workers = []
    again.process.communicate(timeout=100)
    assert again.process.returncode == 0
    assert len(again.finished()) == PLANNED
    assert kept < again.finished()


def test_the_second_ctrl_c_does_not_wait(start, server):
    command = start()
    command.wait_for(1)
    server.model.wait_s = 60
    time.sleep(0.5)
    command.send(signal.SIGINT)
    time.sleep(0.5)
    assert command.process.poll() is None
    started = time.monotonic()
    command.send(signal.SIGINT)
    code, _ = command.end()
    assert code == 130
    assert time.monotonic() - started < 10


def test_what_does_not_finish_in_time_is_given_up(start, server):
    command = start(grace_s=1.5)
    command.wait_for(1)
    server.model.wait_s = 60
    time.sleep(0.5)
    kept = command.finished()
    started = time.monotonic()
    command.send(signal.SIGTERM)
    code, said = command.end()
    assert code == 143
    assert "get up to 1.5 s to finish" in said
    assert 1.5 <= time.monotonic() - started < 12
    assert command.finished() == kept


def test_a_second_process_is_refused_and_does_not_disturb_the_first(start, server):
    first = start()
    first.wait_for(2)
    second = start()
    second.workers = []
    code, said = second.end()
    assert code == 2
    assert f"another process (pid {first.process.pid} on " in said
    first.workers = []
    first.process.communicate(timeout=100)
    assert first.process.returncode == 0
    assert len(first.finished()) == PLANNED
