"""The command from start to end: killed, gone on with, and asked again."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from claims.command import main
from claims.findings import Findings

COMMAND = Path(__file__).parents[3] / "benchmarks" / "claims"


def episodes(out: Path) -> dict[str, float]:
    """Keys of all episodes of a study and when they finished."""
    found: dict[str, float] = {}
    for database in sorted(out.glob("*/*/run.db")):
        connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=10)
        try:
            rows = connection.execute("SELECT key, finished_at FROM episodes").fetchall()
        finally:
            connection.close()
        found |= {f"{database.parent.name}/{key}": at for key, at in rows}
    return found


@pytest.fixture(scope="module")
def tested(tmp_path_factory: pytest.TempPathFactory, tiny_study: Path) -> Path:
    """A study that was killed while its first planner was made, and then done."""
    out = tmp_path_factory.mktemp("claims") / "study"
    arguments = ["--benchmark", str(tiny_study), "--out", str(out)]
    process = subprocess.Popen(
        [sys.executable, COMMAND, *arguments],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 250
    while not (out / "seeds" / "0" / "planners" / "base").exists():
        assert process.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    main(arguments)
    return out


def test_every_claim_gets_its_finding_with_all_seeds_and_tasks(tested: Path):
    found = Findings.model_validate_json((tested / "claims.json").read_text("utf-8"))
    assert [finding.key for finding in found.findings] == [f"C{n}" for n in range(8)]
    gain = found.findings[1]
    assert gain.seeds == (0, 1)
    assert {(mean.split, mean.method) for mean in gain.means} == {
        (split, method) for split in ("seen", "unseen") for method in ("none", "sft", "rft", "mpo")
    }
    assert all(set(d.by_seed) == {0, 1} for d in gain.differences)
    assert all(mean.tasks == mean.planned == 3 for mean in gain.means)
    untested = {finding.key for finding in found.findings if finding.verdict == "not tested"}
    assert untested == {"C0", "C4", "C7"}  # the follower stands in for the trained agents
    curves = found.findings[6]
    assert {mean.method for mean in curves.means} == {"sft", "M=2", "mpo", "N=1", "N=3"}
    assert (tested / "C6-unseen.png").stat().st_size > 0
    assert "### C7" in (tested / "claims.md").read_text("utf-8")


def test_the_same_command_again_plays_nothing(tested: Path, tiny_study: Path):
    before = episodes(tested)
    main(["--benchmark", str(tiny_study), "--out", str(tested), "--claims", "C1", "C6"])
    assert episodes(tested) == before


def test_another_agent_in_the_same_directory_is_refused(tested: Path, tiny_study, tmp_path, capsys):
    with pytest.raises(SystemExit, match="2"):
        main([f"--benchmark={tiny_study}", f"--out={tested}", f"--agent={tmp_path}", "--claims=C0"])
    assert "agent.path" in capsys.readouterr().err


def test_the_plan_counts_a_seed_s_work_once(tested: Path, tiny_study: Path, capsys):
    main(["--benchmark", str(tiny_study), "--out", str(tested / "new"), "--plan"])
    rows = {line.split()[0]: line.split()[1:4] for line in capsys.readouterr().out.splitlines()}
    assert rows["C0"] == ["0", "0", "6"]
    assert rows["C1"] == ["6", "72", "36"]  # 2 seeds: 3 trainings, 6 x 3 x 2; 2 x 3 methods x 6
    assert rows["C2"] == rows["C3"] == rows["C4"] == ["0", "0", "0"]
    assert rows["C5"] == ["0", "0", "12"]
    assert rows["C6"] == ["3", "18", "9"]  # M=2, N=1, N=3; a third episode for 3 plans of 6 tasks
    assert rows["C7"] == ["0", "0", "12"]
    assert not (tested / "new").exists()
