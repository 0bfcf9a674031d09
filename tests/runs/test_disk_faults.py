"""A disk that is full, for real: what is said, what is kept, and how the run goes on."""

import contextlib
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from metaplan import load_recipe, run_mpo
from metaplan.core import RunError
from metaplan.episodes import RunStore, repair_database


class SmallDisk:
    """A file system of its own, in memory."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._filler = path / "filler"

    def resize(self, mib: int) -> None:
        mount("-o", f"remount,size={mib}m", self.path)

    def leave(self, kib: int) -> None:
        """Fills it up, but for so much."""
        self._filler.unlink(missing_ok=True)
        self._filler.touch()
        free = shutil.disk_usage(self.path).free
        with contextlib.suppress(OSError):
            self._filler.write_bytes(bytes(max(free - kib * 1024, 0)))

    def free(self) -> None:
        self._filler.unlink()


NO_ROOM = r"can't (write|open) .*(disk|space).*same command again"


def mount(*arguments: object) -> None:
    subprocess.run(["mount", *map(str, arguments)], check=True, capture_output=True)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[SmallDisk]:
    path = tmp_path / "disk"
    path.mkdir()
    try:
        mount("-t", "tmpfs", "-o", "size=8m", "none", path)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no permission to mount a small disk")
    try:
        yield SmallDisk(path)
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)


def test_whatever_does_not_fit_is_named_and_the_run_goes_on_when_there_is_room(
    small_disk, tiny_recipe, metaplan_command
):
    out = small_disk.path / "run"
    said = []
    for kib in (0, 8, 64, 200):
        small_disk.leave(kib)
        failed = metaplan_command("collect", tiny_recipe, "--out", out)
        assert failed.returncode == 2
        assert "Traceback" not in failed.stderr
        message = failed.stderr[failed.stderr.index("error: ") :]
        assert str(out) in message
        assert "same command again" in message
        said.append(message)
    assert "run.lock: No space left on device" in said[0]
    assert all("disk" in message for message in said[1:])
    small_disk.free()
    assert metaplan_command("collect", tiny_recipe, "--out", out).returncode == 0


def test_episodes_that_were_committed_before_the_disk_was_full_stay(small_disk, tiny_recipe):
    out = small_disk.path / "run"
    settings = ["evaluate.methods=[none]", "evaluate.episodes_per_task=40"]
    config = load_recipe(tiny_recipe, settings)
    small_disk.leave(1000)
    with pytest.raises(RunError, match=r"can't write to .*run\.db.*full.*same command again"):
        run_mpo(config, out, until="evaluate")
    with RunStore(out, read_only=True) as store:  # reading needs no room
        before = store.finished_keys()
        kept = list(store.episodes(sorted(before)))
        status = store.status()
    assert 0 < len(before) < 240
    assert not status.void
    small_disk.free()
    run_mpo(config, out, until="evaluate")
    with RunStore(out, read_only=True) as store:
        assert len(store.finished_keys()) == 240
        assert list(store.episodes(sorted(before))) == kept


def test_weights_that_do_not_fit_leave_no_half_planner(small_disk, tiny_recipe):
    out = small_disk.path / "run"
    config = load_recipe(tiny_recipe, ["sft.epochs=2"])
    run_mpo(config, out, until="collect")
    for kib in (16, 700):
        small_disk.leave(kib)
        with pytest.raises(RunError, match=NO_ROOM):
            run_mpo(config, out, until="sft")
        assert not (out / "planners" / "sft").exists()
    small_disk.free()
    run_mpo(config, out, until="sft")
    assert (out / "planners" / "sft" / "model.safetensors").exists()


def test_a_report_that_does_not_fit_leaves_the_old_one(small_disk, finished_run):
    out = small_disk.path / "run"
    small_disk.resize(20)
    subprocess.run(["cp", "-r", str(finished_run), str(out)], check=True)
    page = out / "report" / "index.html"
    page.write_text("an old page")
    (out / "report" / "results.json").unlink()
    small_disk.leave(100)
    with pytest.raises(RunError, match=NO_ROOM):
        run_mpo(None, out)
    assert page.read_text() == "an old page"
    small_disk.free()
    run_mpo(None, out)
    assert "<html" in page.read_text()
    assert not list(out.rglob("*.partial"))


def test_a_repair_that_finds_no_room_changes_nothing(small_disk, finished_run):
    out = small_disk.path / "run"
    out.mkdir()
    damaged = (finished_run / "run.db").read_bytes()
    damaged = damaged[: len(damaged) // 2]
    (out / "run.db").write_bytes(damaged)
    for kib in (8, len(damaged) // 1024 + 60):
        small_disk.leave(kib)
        with pytest.raises(RunError, match=r"can't (repair|write to|open) .*(space|disk)"):
            repair_database(out)
        assert (out / "run.db").read_bytes() == damaged
    small_disk.free()
    repair_database(out)
    assert {path.name for path in out.iterdir()} == {"run.db", "run.db.damaged-1", "run.lock"}
