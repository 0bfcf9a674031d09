"""Directories and what is in them: permission, room, locks, damage."""

import functools
import json
import os
import shutil
import sqlite3

import pytest

from metaplan.episodes import RunStore, is_network_mount
from metaplan.recipes import load_recipe
from metaplan.runs.doctor import Verdict, carry_out, storage
from metaplan.runs.doctor.storage import run_checks, storage_checks


def findings(checks):
    found = {}
    for finding in carry_out(list(checks)):
        found.setdefault(finding.subject, []).append(finding)
    return found


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("METAPLAN_DATA", str(tmp_path / "data"))
    (tmp_path / "data").mkdir()
    return tmp_path


def test_directories_that_can_be_used_are_fine_and_are_not_made(home):
    found = findings(storage_checks(None, home / "new" / "run"))
    assert {one.verdict for each in found.values() for one in each} <= {Verdict.FINE, Verdict.NOTE}
    assert sorted(path.name for path in home.iterdir()) == ["data"]


def test_a_data_directory_that_is_named_and_absent_is_wrong(home, monkeypatch):
    (home / "data").rmdir()
    (named,) = findings(storage_checks(None, home))["data directory"]
    assert named.verdict is Verdict.BROKEN
    assert str(home / "data") in named.fact
    monkeypatch.delenv("METAPLAN_DATA")  # the default is made when data is fetched
    (default,) = findings(storage_checks(None, home))["data directory"]
    assert default.verdict is Verdict.NOTE
    assert "metaplan data fetch" in default.remedy


@pytest.mark.parametrize("place", ["/proc/runs", "file/run"])
def test_a_place_where_nothing_can_be_written_is_wrong(home, place):
    (home / "file").touch()
    (finding,) = findings(storage_checks(None, home / place))["run directory"]
    assert finding.verdict is Verdict.BROKEN
    assert place in finding.fact


def test_a_cache_that_can_not_be_written_is_wrong(home, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/cache")
    (finding,) = findings(storage_checks(None, home))["cache"]
    assert finding.verdict is Verdict.BROKEN
    assert "XDG_CACHE_HOME" in finding.remedy


def test_a_disk_that_is_too_small_for_the_recipe_is_wrong(home, monkeypatch):
    usage = shutil.disk_usage(home)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=2 * 10**9))
    config = load_recipe("household-demo")
    assert findings(storage_checks(config, home / "run"))["run directory"][-1].verdict is (
        Verdict.FINE
    )
    large = load_recipe("household-demo", ["planner.base=Llama-3.1-8B"])
    (*_, finding) = findings(storage_checks(large, home / "run"))["run directory"]
    assert finding.verdict is Verdict.BROKEN
    assert "the run takes up to" in finding.fact


def test_a_network_mount_is_noted(home, monkeypatch):
    mounts = home / "mounts"
    mounts.write_text(f"server:/x {home} nfs4 rw 0 0\n")
    network = functools.partial(is_network_mount, mounts=mounts)
    monkeypatch.setattr(storage, "is_network_mount", network)
    noted, room = findings(storage_checks(None, home / "run"))["run directory"]
    assert (noted.verdict, room.verdict) == (Verdict.NOTE, Verdict.FINE)
    assert "network mount" in noted.fact


@pytest.fixture
def run(tmp_path):
    with RunStore(tmp_path) as store:
        for number in range(200):
            store.set_fact(f"fact {number}", "x" * 1000)
    (tmp_path / "versions.json").write_text(json.dumps({"packages": {}}))
    return tmp_path


def test_a_sound_run_is_fine(run):
    found = findings(run_checks(run))
    assert {one.verdict for each in found.values() for one in each} == {Verdict.FINE}
    assert f"metaplan run --out {run}" in found["run"][0].fact


def test_a_run_at_work_is_said_and_looked_at_all_the_same(run):
    with RunStore(run):
        found = findings(run_checks(run))
    assert f"pid {os.getpid()}" in found["run"][0].fact
    assert found["database"][0].verdict is Verdict.FINE


def scramble(path):
    """Damages the middle of the file: it opens, and its beginning can be read."""
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(size // 2)
        file.write(os.urandom(40_000))


@pytest.mark.parametrize(
    "damage",
    [
        scramble,
        lambda path: path.write_bytes(b"not a database, " * 1000),
        lambda path: os.truncate(path, path.stat().st_size // 2 // 4096 * 4096),
    ],
    ids=["scrambled", "garbage", "truncated"],
)
def test_a_damaged_database_is_found_and_what_to_do_is_said(run, damage):
    damage(run / "run.db")
    (finding,) = findings(run_checks(run))["database"]
    assert finding.verdict is Verdict.BROKEN
    assert "damaged" in finding.fact
    assert "metaplan repair" in finding.fact + finding.remedy


def test_a_database_of_a_newer_metaplan_is_said(run):
    connection = sqlite3.connect(run / "run.db")
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    (finding,) = findings(run_checks(run))["database"]
    assert finding.verdict is Verdict.BROKEN
    assert "format 99" in finding.fact


def test_other_packages_than_the_run_was_made_with_are_noted(run):
    packages = {"numpy": "1.0.0", "no-such-package": "2.0"}
    (run / "versions.json").write_text(json.dumps({"packages": packages}))
    (finding,) = findings(run_checks(run))["versions"]
    assert finding.verdict is Verdict.NOTE
    assert "numpy 1.0.0 → " in finding.fact
    assert "no-such-package 2.0 → none" in finding.fact
    assert "pip install 'numpy==1.0.0'" in finding.remedy


@pytest.mark.parametrize("text", ["", "[]", '{"packages": 3}', "{"])
def test_versions_that_can_not_be_read_are_noted(run, text):
    (run / "versions.json").write_text(text)
    (finding,) = findings(run_checks(run))["versions"]
    assert finding.verdict is Verdict.NOTE
