"""The run's database: what is committed stays, and whatever is wrong with it is said."""

import functools
import os
import platform
import re
import resource
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from metaplan.core import Episode, MetaPlan, Placement, RunError, StopReason, Turn
from metaplan.episodes import RunStore, database, is_network_mount
from metaplan.models import Completion, Usage
from metaplan.planners import PlanSample


def episode(number: int, *, reward=1.0, stop_reason=StopReason.SOLVED, cause="", reply="Action: x"):
    return Episode(
        key=f"{number:016x}",
        task_key=f"task/{number % 3}",
        environment="e",
        plan_key="p",
        placement=Placement.INSTRUCTION,
        agent="a",
        repetition=0,
        turns=(Turn(reply=reply, action="x", observation="{y} \u2028 ✓", reward=reward),),
        reward=reward,
        success=reward == 1.0,
        stop_reason=stop_reason,
        cause=cause,
        prompt_tokens=7,
        completion_tokens=3,
        duration_s=0.5,
    )


def test_episodes_come_back_as_they_were(tmp_path):
    kept = [episode(number, reward=number / 4) for number in range(3)]
    with RunStore(tmp_path) as store:
        for one in kept:
            store.add_episode(one, "explore")
    with RunStore(tmp_path) as store:
        keys = [one.key for one in reversed(kept)]
        assert list(store.episodes([*keys, "absent"])) == kept[::-1]
        assert store.finished_keys() == set(keys)
        assert store.rewards([keys[0], "absent"]) == {keys[0]: 0.5}


def test_an_episode_counts_once_whatever_comes_later(tmp_path):
    with RunStore(tmp_path) as store:
        store.add_episode(episode(1, reward=1.0), "explore")
        store.add_episode(episode(1, reward=0.0), "explore")
        (kept,) = store.episodes([episode(1).key])
        assert kept.reward == 1.0
        assert store.status().episodes[0].episodes == 1


def test_a_failed_transaction_leaves_nothing_of_itself(tmp_path):
    with RunStore(tmp_path) as store:
        plan = MetaPlan(steps=("a",))
        good = PlanSample(task_key="t", index=0, plan=plan, raw="raw")
        broken = good.model_copy(update={"index": 1, "task_key": None})
        with pytest.raises(RunError, match="NOT NULL"):
            store.add_plan_samples("planner", [good, broken])
        assert store.plan_samples("planner") == {}
        assert store.plan(plan.key) is None
        store.add_plan_samples("planner", [good])
        assert store.plan_samples("planner") == {"t": [good]}


def test_two_processes_can_not_run_in_one_directory(tmp_path):
    with (
        RunStore(tmp_path),
        pytest.raises(RunError, match=f"process \\(pid {os.getpid()} on {platform.node()}\\)"),
    ):
        RunStore(tmp_path)
    RunStore(tmp_path).close()


WRITER = """
import sys, time
from pathlib import Path
sys.path.insert(0, {tests!r})
from test_store import episode
from metaplan.episodes import RunStore
store = RunStore(Path({directory!r}))
for number in range(100000):
    store.add_episode(episode(number), "explore")
    print(number, flush=True)
"""


def test_killing_the_writer_loses_nothing_that_was_committed_and_frees_the_lock(tmp_path):
    code = WRITER.format(tests=str(Path(__file__).parent), directory=str(tmp_path))
    writer = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    told = [int(writer.stdout.readline()) for _ in range(50)]
    with pytest.raises(RunError, match=f"pid {writer.pid}"):
        RunStore(tmp_path)
    with RunStore(tmp_path, read_only=True) as reader:  # while it is being written
        assert reader.status().episodes[0].episodes >= len(told)
    writer.kill()
    told += map(int, writer.communicate()[0].split())
    with RunStore(tmp_path, read_only=True) as reader:  # with the dead writer's log beside it
        assert len(reader.finished_keys()) >= len(told)
    with RunStore(tmp_path) as store:
        assert {episode(number).key for number in told} <= store.finished_keys()
        assert len(store.finished_keys()) <= len(told) + 1
        check = sqlite3.connect(store._database.path).execute("PRAGMA integrity_check").fetchall()
        assert check == [("ok",)]


DAMAGED = "damaged, or no run's database .* 'metaplan repair"


def filled(directory):
    with RunStore(directory) as store:
        for number in range(40):
            store.add_episode(episode(number, reply="x" * 2500), "explore")
    return directory / "run.db"


@pytest.mark.parametrize("read_only", [False, True])
@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.write_bytes(b"not a database, " * 1000), DAMAGED),
        (lambda path: os.truncate(path, 20_000), DAMAGED),
        (
            lambda path: path.write_bytes(
                path.read_bytes()[:4096] + os.urandom(path.stat().st_size - 4096)
            ),
            DAMAGED,
        ),
        (lambda path: set_version(path, 99), "format 99, this Metaplan reads up to 4"),
    ],
    ids=["garbage", "truncated", "scrambled", "newer"],
)
def test_a_file_that_can_not_be_used_is_refused_and_left_alone(
    tmp_path, damage, message, read_only
):
    path = filled(tmp_path)
    damage(path)
    before = path.read_bytes()
    for _ in range(2):  # the second time for the lock, which was given back
        with (
            pytest.raises(RunError, match=message),
            RunStore(tmp_path, read_only=read_only) as store,
        ):
            list(store.episodes(store.finished_keys()))
    assert path.read_bytes() == before


def set_version(path, version):
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA user_version = {version}")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()


@pytest.fixture
def older(tmp_path):
    """Makes a file as an older Metaplan would have left it."""

    def make(version):
        path = filled(tmp_path)
        connection = sqlite3.connect(path)
        stage, void = "('explore', 2.0, '{}'", "('k', 't', 'model_error', 'outage', 0.0"
        connection.execute(f"INSERT INTO stages VALUES {stage}, NULL)")
        connection.execute(f"INSERT INTO voids VALUES {void}, 0, 0)")
        connection.execute("DROP TABLE demonstrations")
        if version < 3:
            connection.execute("DROP INDEX episodes_summed_up")
            connection.execute("ALTER TABLE stages DROP COLUMN began_at")
            for table in ("voids", "plan_samples"):
                connection.execute(f"ALTER TABLE {table} DROP COLUMN prompt_tokens")
                connection.execute(f"ALTER TABLE {table} DROP COLUMN completion_tokens")
        if version < 2:
            connection.execute("DROP TABLE completions")
        connection.commit()
        connection.close()
        set_version(path, version)
        return tmp_path

    return make


@pytest.mark.parametrize("version", [1, 2, 3])
def test_a_file_of_an_older_format_is_read_and_gets_what_is_new_when_written_to(older, version):
    directory = older(version)
    with RunStore(directory, read_only=True) as store:
        assert len(store.finished_keys()) == 40
        assert store.demonstrations() == {}
        before = store.status()
    with RunStore(directory) as store:
        store.add_completion("request", Completion(text="answer"))
        assert store.demonstrations() == {}
        assert len(store.finished_keys()) == 40
        after = store.status()
    assert before.stages["explore"].seconds == 2.0
    assert before.void_attempts == 1
    at_work = {"at": 0.0, "running": None}
    assert before.model_copy(update=at_work) == after.model_copy(update=at_work)


def test_the_answer_to_a_request_is_kept_as_it_came_first(tmp_path):
    first = Completion(
        text="{a} \u2028 \x00 ✓",
        finish_reason="length",
        usage=Usage(prompt_tokens=3, completion_tokens=2),
    )
    with RunStore(tmp_path) as store:
        assert store.completion("request") is None
        store.add_completion("request", first)
        store.add_completion("request", Completion(text="another"))
    with RunStore(tmp_path, read_only=True) as store:
        assert store.completion("request") == first


def test_a_directory_without_a_run_is_said_so(tmp_path):
    with pytest.raises(RunError, match="holds no run"):
        RunStore(tmp_path / "absent", read_only=True)
    (tmp_path / "run.db").touch()
    with pytest.raises(RunError, match="interrupted at its very start"):
        RunStore(tmp_path, read_only=True)
    RunStore(tmp_path).close()
    RunStore(tmp_path, read_only=True).close()


def test_a_run_can_not_be_where_a_file_is(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match=r"can't run in .*file"):
        RunStore(tmp_path / "file")


def test_a_full_disk_is_said_and_costs_only_what_did_not_fit(tmp_path):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    with RunStore(tmp_path) as store:
        store.add_episode(episode(0), "explore")
        resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, before[1]))
        try:
            for number in range(1, 1000):
                store.add_episode(episode(number, reply="x" * 2000), "explore")
        except RunError as error:
            said = str(error)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert re.search(r"can't write to .*run\.db.*disk", said)
        kept = store.finished_keys()
        assert {episode(n).key for n in range(number)} == kept
        store.add_episode(episode(number), "explore")  # once there is room again
    with RunStore(tmp_path) as store:
        assert store.finished_keys() == kept | {episode(number).key}


def without_rights(work) -> str:
    """What `work` returns in a process for which, unlike for root, a directory can be read-only."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        answer = "died"
        try:
            if os.getuid() == 0:
                os.setgid(65534)
                os.setuid(65534)
            answer = work()
        except BaseException as error:
            answer = repr(error)
        finally:
            os.write(writing, answer.encode())
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as answers:
        found = answers.read()
    os.waitpid(child, 0)
    return found


def test_a_read_only_directory_can_be_read_and_is_refused_for_writing():
    with tempfile.TemporaryDirectory() as name:  # pytest's own can't be entered without rights
        directory = Path(name) / "run"
        filled(directory)
        Path(name).chmod(0o755)
        (directory / "run.lock").chmod(0o444)
        directory.chmod(0o555)

        def count():
            with RunStore(directory, read_only=True) as store:
                return str(len(store.finished_keys()))

        def write():
            return str(RunStore(directory))

        assert without_rights(count) == "40"
        refusal = without_rights(write)
        directory.chmod(0o755)
    assert "RunError" in refusal
    assert "Permission denied" in refusal


@pytest.fixture
def on_network(tmp_path, monkeypatch):
    """Makes the kernel's table say that the test's directory is an NFS mount."""
    mounts = tmp_path / "mounts"
    mounts.write_text(f"none / ext4 rw 0 0\nserver:/x {tmp_path} nfs4 rw 0 0\n")
    monkeypatch.setattr(
        database, "is_network_mount", functools.partial(is_network_mount, mounts=mounts)
    )


def journal(directory):
    connection = sqlite3.connect(directory / "run.db")
    (mode,) = connection.execute("PRAGMA journal_mode").fetchone()
    connection.close()
    return mode


def test_a_network_mount_gets_a_rollback_journal(tmp_path, on_network):
    filled(tmp_path)
    assert journal(tmp_path) == "delete"
    with RunStore(tmp_path) as store:
        assert len(store.finished_keys()) == 40


def test_a_run_that_is_moved_to_a_network_mount_changes_its_journal(tmp_path, request):
    filled(tmp_path)
    assert journal(tmp_path) == "wal"
    request.getfixturevalue("on_network")
    RunStore(tmp_path).close()
    assert journal(tmp_path) == "delete"


@pytest.mark.parametrize(
    ("path", "network"),
    [
        ("/data/runs/1", True),
        ("/data/local/run", False),
        ("/database", False),
        ("/mnt/my disk/run", True),
        ("/home/me", False),
    ],
)
def test_the_innermost_mount_decides(tmp_path, path, network):
    mounts = tmp_path / "mounts"
    mounts.write_text(
        "rootfs / ext4 rw 0 0\nserver:/a /data nfs rw 0 0\n/dev/sdb /data/local xfs rw 0 0\n"
        "//server/b /mnt/my\\040disk cifs rw 0 0\ngarbage\n"
    )
    assert is_network_mount(Path(path), mounts) is network


def test_without_a_table_of_mounts_there_is_no_network_mount(tmp_path):
    assert not is_network_mount(tmp_path, tmp_path / "absent")


def test_a_link_to_a_network_mount_is_one(tmp_path):
    (tmp_path / "far").mkdir()
    (tmp_path / "near").symlink_to(tmp_path / "far")
    mounts = tmp_path / "mounts"
    mounts.write_text(f"none / ext4 rw 0 0\nserver:/x {tmp_path / 'far'} nfs rw 0 0\n")
    assert is_network_mount(tmp_path / "near" / "run", mounts)
