"""Kills a running exploration again and again, resumes it, and looks for lost or doubled episodes.

    python benchmarks/kill_resume.py [--kills 5] [--seed 0]

Makes a small household run up to the sampled plans, explores it once undisturbed, and once with
SIGKILL at random moments that are spread over the exploration. Both must end with exactly the
planned episodes and equal rewards. Exit code 1 if they don't.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

RECIPE = """\
name: kill-resume
benchmark: household
tasks:
  train: {task_set: train, count: 24}
  evaluate: {seen: {task_set: seen, count: 1}}
agent: {model: follower, profile: compact}
planner: {base: scratch, profile: compact, max_tokens: 96}
sft: {epochs: 16, batch_size: 6, per_device_batch_size: 6, learning_rate: 5.0e-3, max_length: 640}
explore: {tasks: 24, plans_per_task: 4, episodes_per_plan: 20, temperature: 1.0}
"""


@dataclass(frozen=True)
class Kill:
    """One kill: when it happened, and what was left."""

    after_s: float
    finished: int
    orphans: int


@dataclass(frozen=True)
class Outcome:
    """What the store of the disturbed run holds, against the undisturbed one's."""

    kills: tuple[Kill, ...]
    planned: int
    lost: int
    doubled: int
    unplanned: int
    other_rewards: int
    undisturbed_s: float
    disturbed_s: float

    @property
    def is_exact(self) -> bool:
        """Whether nothing was lost, doubled, added or changed."""
        return not (self.lost or self.doubled or self.unplanned or self.other_rewards)


def metaplan(*arguments: str, **options) -> subprocess.Popen[bytes]:
    """Starts the command line in a process group of its own."""
    main = "from metaplan.cli import main; main()"
    return subprocess.Popen(
        [sys.executable, "-c", main, *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        **options,
    )


def explore(out: Path, settings: tuple[str, ...]) -> subprocess.Popen[bytes]:
    """Starts or resumes the exploration of a run directory."""
    chosen = [word for setting in settings for word in ("--set", setting)]
    return metaplan("explore", str(out / "config.yaml"), "--out", str(out), *chosen)


def rewards(out: Path) -> list[tuple[str, float]]:
    """Key and reward of every episode row of the exploration."""
    connection = sqlite3.connect(f"file:{out / 'run.db'}?mode=ro", uri=True, timeout=10)
    try:
        rows = connection.execute("SELECT key, reward FROM episodes WHERE purpose = 'explore'")
        return rows.fetchall()
    finally:
        connection.close()


def count(out: Path) -> int:
    """Finished episodes."""
    return len(rewards(out))


def children(pid: int) -> list[int]:
    """Processes whose parent is the given one."""
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii")
    return [int(child) for child in text.split()]


def still_there(pids: list[int], patience_s: float = 5.0) -> int:
    """How many of the processes go on running."""
    deadline = time.monotonic() + patience_s
    left = pids
    while left and time.monotonic() < deadline:
        time.sleep(0.02)
        left = [pid for pid in left if _runs(pid)]
    return len(left)


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def kill_when(out: Path, settings: tuple[str, ...], finished: int, delay_s: float) -> Kill:
    """Explores until so many episodes are finished, waits a moment, and kills the process."""
    started = time.monotonic()
    process = explore(out, settings)
    while process.poll() is None and count(out) < finished:
        time.sleep(0.005)
    time.sleep(delay_s)
    workers = children(process.pid) if process.poll() is None else []
    process.send_signal(signal.SIGKILL)
    process.wait()
    return Kill(time.monotonic() - started, count(out), still_there(workers))


def kill_and_resume(
    start: Path, work: Path, *, kills: int, seed: int, settings: tuple[str, ...] = ()
) -> Outcome:
    """The experiment.

    Args:
        start: A run directory with sampled plans.
        work: Where the two copies go.
        kills: How often the second one is killed.
        seed: Of the moments.
        settings: Of the exploration, ``key=value``.
    """
    calm, killed = work / "calm", work / "killed"
    shutil.copytree(start, calm)
    shutil.copytree(start, killed)
    before = count(start)
    undisturbed_s = _to_the_end(calm, settings)
    expected = dict(rewards(calm))

    chance = random.Random(seed)
    share = (len(expected) - before) / (kills + 1)
    moments = [before + share * (number + chance.random()) for number in range(kills)]
    started = time.monotonic()
    done = [kill_when(killed, settings, int(at), chance.random() * 0.05) for at in moments]
    _to_the_end(killed, settings)
    found = rewards(killed)
    kept = dict(found)
    return Outcome(
        kills=tuple(done),
        planned=len(expected),
        lost=len(expected.keys() - kept.keys()),
        doubled=len(found) - len(kept),
        unplanned=len(kept.keys() - expected.keys()),
        other_rewards=sum(kept.get(key) != value for key, value in expected.items()),
        undisturbed_s=undisturbed_s,
        disturbed_s=time.monotonic() - started,
    )


def _to_the_end(out: Path, settings: tuple[str, ...]) -> float:
    started = time.monotonic()
    code = explore(out, settings).wait()
    if code:
        raise SystemExit(f"metaplan explore --out {out} ended with exit code {code}")
    return time.monotonic() - started


def main() -> None:
    """Prints a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        recipe = work / "recipe.yaml"
        recipe.write_text(RECIPE, "utf-8")
        if metaplan("sample", str(recipe), "--out", str(work / "start")).wait():
            raise SystemExit("the run could not be prepared")
        outcome = kill_and_resume(work / "start", work, kills=arguments.kills, seed=arguments.seed)
    print(f"{'kill':>4}  {'after':>7}  {'finished':>8}  orphans")
    for number, kill in enumerate(outcome.kills, 1):
        print(f"{number:>4}  {kill.after_s:>5.1f} s  {kill.finished:>8}  {kill.orphans:>7}")
    print(
        f"planned {outcome.planned}, lost {outcome.lost}, doubled {outcome.doubled}, "
        f"unplanned {outcome.unplanned}, other rewards {outcome.other_rewards}\n"
        f"undisturbed {outcome.undisturbed_s:.1f} s, with {len(outcome.kills)} kills and restarts "
        f"{outcome.disturbed_s:.1f} s"
    )
    if not outcome.is_exact:
        sys.exit(1)


if __name__ == "__main__":
    main()
