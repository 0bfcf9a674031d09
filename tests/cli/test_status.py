"""`metaplan status`: what a person reads, while a run goes on and after."""

import functools
import io
import os
import subprocess
import sys
import time

import pytest
from rich.console import Console

from metaplan.cli.status import print_status
from metaplan.core import Episode, StopReason, Turn
from metaplan.episodes import RunStore
from metaplan.runs import files, read_status


def episode(number, *, stop_reason=StopReason.SOLVED, cause=""):
    return Episode(
        key=f"{number:016x}",
        task_key=f"alfworld/valid_unseen/pick_clean_then_place_in_recep-Pan-None-{number % 3}",
        environment="e",
        plan_key=None,
        placement=None,
        agent="a",
        repetition=0,
        turns=(Turn(reply="Action: x", action="x", observation="y", reward=1.0),),
        reward=1.0,
        success=True,
        stop_reason=stop_reason,
        cause=cause,
        prompt_tokens=1_000_000,
        completion_tokens=100_000,
        duration_s=75.0,
    )


@pytest.fixture
def half_done(tmp_path):
    """A run directory with 12 of 20 episodes, one void attempt, and nobody at work."""
    with RunStore(tmp_path) as store:
        store.begin_stage("collect")
        store.add_stage_time("collect", 4000.0)
        store.finish_stage("collect", {"seed_plans": 3})
        store.begin_stage("explore")
        store.set_missing("explore", 20)
        for number in range(12):
            time.sleep(0.002)
            store.add_episode(episode(number), "explore")
        cause = "gpt-4o at https://api.example.com/v1: [bold]HTTP 503[/bold]: overloaded"
        store.add_episode(episode(99, stop_reason=StopReason.MODEL_ERROR, cause=cause), "explore")
    return tmp_path


@pytest.fixture
def read_at(monkeypatch):
    """What `metaplan status` prints at a width."""

    def read(directory, width=80):
        text = io.StringIO()
        module = sys.modules[print_status.__module__]
        monkeypatch.setattr(module, "results", lambda: Console(width=width, file=text))
        print_status(directory)
        return text.getvalue()

    return read


def test_a_run_that_stopped_says_how_to_go_on_and_fits_into_80_columns(half_done, read_at):
    said = read_at(half_done)
    assert max(map(len, said.splitlines())) <= 80
    flat = " ".join(said.split())
    assert "not running, and not finished" in flat
    assert f"metaplan run --out {half_done}" in said.replace("\n", "")
    assert "collect 1 h 06 min 3 seed plans" in flat
    assert "explore 12 8 1.000 1.000 1.0" in flat
    assert "8 planned episodes are missing" in flat
    assert "until" not in flat  # nobody knows when it goes on
    assert "cause (1 attempts, 7.7% of all)" in flat
    assert "[bold]HTTP 503[/bold]: overloaded" in flat  # causes are text, never markup
    assert "1 min 15 s" in flat
    assert "USD" not in flat


def test_a_run_that_goes_on_says_who_and_until_when(half_done, read_at):
    with RunStore(half_done):
        said = " ".join(read_at(half_done).split())
    assert f"running (pid {os.getpid()} on " in said
    assert "not finished; to go on" not in said
    assert "at this pace, until " in said


def test_money_is_shown_where_prices_are_known(half_done, read_at):
    from metaplan.recipes import dump_config, load_recipe

    def price(*settings):
        config = load_recipe("quick-openai", settings)
        (half_done / "config.yaml").write_text(dump_config(config))
        return " ".join(read_at(half_done).split())

    assert "USD" not in price()
    said = price("agent.served.prices={prompt: 2.5, completion: 10}")
    assert "agent 12,000,000 1,200,000 42.00" in said
    assert "agent, void attempts 1,000,000 100,000 3.50" in said
    assert "in all 45.50" in said
    (half_done / "config.yaml").write_text("garbage: [")
    assert "USD" not in " ".join(read_at(half_done).split())


def test_prices_may_change_at_any_time_and_are_never_negative():
    from metaplan.core import ConfigError
    from metaplan.recipes import changed_fields, load_recipe

    priced = "agent.served.prices={prompt: 2.5, completion: 10}"
    dearer = "agent.served.prices={prompt: 5, completion: 10}"
    plain, cheap, dear = (
        load_recipe("quick-openai", settings) for settings in ((), (priced,), (dearer,))
    )
    assert changed_fields(plain, cheap) == changed_fields(cheap, dear) == []
    assert changed_fields(dear, plain) == []
    with pytest.raises(ConfigError, match=r"prices\.prompt"):
        load_recipe("quick-openai", ["agent.served.prices={prompt: -1, completion: 10}"])


@pytest.fixture
def on_network(half_done, monkeypatch):
    """Makes the run directory an NFS mount to whoever reads its status."""
    mounts = half_done / "mounts"
    mounts.write_text(f"server:/x {half_done} nfs4 rw 0 0\n")
    network = functools.partial(files.is_network_mount, mounts=mounts)
    monkeypatch.setattr(files, "is_network_mount", network)
    return half_done


def test_on_a_network_mount_the_snapshot_tells_all_of_it(on_network, read_at):
    from_database = read_status(on_network)
    said = read_at(on_network)
    (on_network / files.STATUS_FILE).write_text(from_database.model_dump_json())
    (on_network / "run.db").rename(on_network / "elsewhere.db")
    assert read_status(on_network) == from_database
    assert read_at(on_network) == said


def test_a_snapshot_of_another_version_is_passed_over(on_network):
    (on_network / files.STATUS_FILE).write_text('{"at": 1.0, "rate": 2.0}')
    assert read_status(on_network).episodes[0].episodes == 12


HOLDER = """
import sys
from pathlib import Path
from metaplan.episodes import RunStore
with RunStore(Path(sys.argv[1])):
    print("here", flush=True)
    sys.stdin.read()
"""


def test_watching_goes_on_as_long_as_the_run(half_done, metaplan_command):
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, half_done], **pipes)
    assert holder.stdout.readline()
    command = metaplan_command.command("status", half_done, "--watch", "0.2")
    watcher = subprocess.Popen(command, **pipes)
    with pytest.raises(subprocess.TimeoutExpired):
        watcher.wait(timeout=3)
    holder.communicate()
    said, _ = watcher.communicate(timeout=30)
    assert watcher.returncode == 0
    assert "not running, and not finished" in said  # how it was at the end


def test_nobody_watches_all_the_time(half_done, metaplan_command):
    answer = metaplan_command("status", half_done, "--watch", "0")
    assert answer.returncode == 2
    assert "Traceback" not in answer.stderr
