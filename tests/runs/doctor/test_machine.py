"""The machine: limits that would stop a run in its middle are found before it begins."""

import resource
import tempfile
import time

import pytest

from metaplan.recipes import load_recipe
from metaplan.runs.doctor import Verdict, carry_out, machine
from metaplan.runs.doctor.machine import gigabytes, machine_checks


def findings(subject, config=None):
    (check,) = [check for check in machine_checks(config) if check.subject == subject]
    return list(carry_out([check]))


def test_this_machine_is_fine():
    found = list(carry_out(list(machine_checks(None))))
    assert Verdict.BROKEN not in {finding.verdict for finding in found}
    assert {"python", "clock"} <= {finding.subject for finding in found}


@pytest.fixture
def few_files():
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(1000, before[0]), before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_a_recipe_with_more_connections_than_files_is_told_the_command(few_files):
    crowded = load_recipe("household-demo", ["runtime.concurrency=900"])
    (finding,) = findings("limits", crowded)
    assert finding.verdict is Verdict.BROKEN
    assert finding.remedy == "ulimit -n 4096"
    (finding,) = findings("limits", load_recipe("household-demo", ["runtime.concurrency=8"]))
    assert finding.verdict is Verdict.FINE


@pytest.fixture
def cgroup(tmp_path, monkeypatch):
    """A container's limits."""
    monkeypatch.setattr(machine, "_CGROUP", tmp_path)
    return tmp_path


def test_a_container_s_share_counts(cgroup):
    (cgroup / "cpu.max").write_text("50000 100000\n")
    (cgroup / "memory.max").write_text("1000000000\n")
    (cgroup / "memory.current").write_text("400000000\n")
    (finding,) = findings("cores, memory")
    assert "0.5 cores, 0.6 GB of 1.0 GB memory free" in finding.fact
    assert finding.verdict is Verdict.NOTE
    (cgroup / "cpu.max").write_text("max 100000\n")
    (cgroup / "memory.max").write_text("max\n")
    assert "0.5 cores" not in findings("cores, memory")[0].fact


def test_more_workers_than_cores_and_fewer_processes_than_workers_are_noted(cgroup):
    (cgroup / "pids.max").write_text("150\n")
    config = load_recipe("household-demo", ["runtime.workers=1000"])
    workers, *_ = findings("cores, memory", config)
    assert workers.verdict is Verdict.NOTE
    assert "runtime.workers is 1000" in workers.fact
    processes = next(f for f in findings("limits", config) if f.subject == "processes")
    assert "150 allowed, 1,100 may be needed" in processes.fact


def test_a_clock_that_is_years_behind_is_wrong(monkeypatch):
    (finding,) = findings("clock")
    assert finding.verdict is Verdict.FINE
    monkeypatch.setattr(time, "time", lambda: 1e9)
    (finding,) = findings("clock")
    assert finding.verdict is Verdict.BROKEN


def test_a_place_for_temporary_files_that_can_not_be_written_is_wrong(monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", "/proc/none")
    (finding,) = findings("temporary files")
    assert finding.verdict is Verdict.BROKEN
    assert "TMPDIR" in finding.remedy


def test_sizes_are_readable():
    assert [gigabytes(size) for size in (0, 3.2e6, 1.24e9, 2.41e11)] == [
        "0 MB",
        "3 MB",
        "1.2 GB",
        "241 GB",
    ]
