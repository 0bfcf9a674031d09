"""Checks: none can hang, crash or hide another."""

import os
import time

import pytest

from metaplan.core import UserError
from metaplan.runs.doctor import Check, Finding, Verdict, carry_out
from metaplan.runs.doctor.checks import ProbeError, probe


def fine(subject, wait_s=0.0):
    def look():
        time.sleep(wait_s)
        yield Finding.fine(subject, "is so")

    return Check(subject, look)


def broken(error):
    def look():
        yield Finding.fine("before", "is so")
        raise error

    return Check("breaks", look)


def test_findings_come_in_the_order_of_the_checks():
    found = list(carry_out([fine("slow", 0.2), fine("quick"), fine("quicker")]))
    assert [finding.subject for finding in found] == ["slow", "quick", "quicker"]


def test_a_check_that_crashes_is_broken_and_the_others_are_made():
    crash, other = carry_out([broken(ZeroDivisionError("by nothing")), fine("other")])
    assert (crash.verdict, crash.subject) == (Verdict.BROKEN, "breaks")
    assert "ZeroDivisionError: by nothing" in crash.fact
    assert other.verdict is Verdict.FINE


def test_an_error_for_people_is_shown_as_it_is():
    (finding,) = carry_out([broken(UserError("do this"))])
    assert (finding.verdict, finding.fact) == (Verdict.BROKEN, "do this")


def test_a_check_that_hangs_is_broken_after_its_time_and_holds_up_nobody():
    started = time.monotonic()
    hangs = Check("hangs", lambda: time.sleep(60), timeout_s=0.3)
    hung, other = carry_out([hangs, fine("other", 0.1)])
    assert time.monotonic() - started < 5.0
    assert (hung.verdict, hung.subject, hung.fact) == (
        Verdict.BROKEN,
        "hangs",
        "no answer within 0.3 s",
    )
    assert other.verdict is Verdict.FINE


def test_what_is_not_needed_is_a_note():
    assert Finding.trouble("a", "b", "c", needed=False).verdict is Verdict.NOTE
    assert Finding.trouble("a", "b", "c").verdict is Verdict.BROKEN


def test_a_probe_answers_with_the_last_line_that_it_prints():
    code = "import json, sys; print('noise'); print(json.dumps(sys.argv[1:]))"
    assert probe(code, "a", "b", timeout_s=60) == ["a", "b"]


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("raise ImportError('libcuda.so is gone')", "ImportError: libcuda.so is gone"),
        ("import os; os.abort()", "killed by SIGABRT"),
        ("import os; os._exit(3)", "exit code 3"),
        ("print('no json')", "exit code 0"),
    ],
)
def test_a_probe_that_dies_says_how(code, words):
    with pytest.raises(ProbeError, match=words):
        probe(code, timeout_s=60)


def test_a_probe_that_hangs_is_killed_with_all_that_it_started(tmp_path):
    note = tmp_path / "pid"
    code = (
        "import subprocess, sys, time, pathlib\n"
        "child = subprocess.Popen(['sleep', '600'])\n"
        "pathlib.Path(sys.argv[1]).write_text(str(child.pid))\n"
        "time.sleep(600)"
    )
    with pytest.raises(ProbeError, match="no answer within 3 s"):
        probe(code, str(note), timeout_s=3)
    child = int(note.read_text())
    deadline = time.monotonic() + 5
    while is_alive(child) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not is_alive(child)


def is_alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as stat:  # noqa: PTH123
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_probe_outlives_nobody_for_long(tmp_path):
    """Ctrl-C ends whoever asked, before the probe is killed."""
    note = tmp_path / "pid"
    child = os.fork()
    if child == 0:
        asked = "import os, sys; open(sys.argv[1], 'w').write(str(os.getpid())); os.read(0, 1)"
        asked += "; import time; time.sleep(600)"
        try:
            probe(asked, str(note), timeout_s=2)
        finally:
            os._exit(0)
    while not note.exists() or not note.read_text():
        time.sleep(0.02)
    os.kill(child, 9)
    os.waitpid(child, 0)
    deadline = time.monotonic() + 10
    while is_alive(int(note.read_text())) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not is_alive(int(note.read_text()))
