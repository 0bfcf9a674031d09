"""Plays many short episodes while everything breaks, and looks for what is lost, doubled or leaked.

    python benchmarks/soak.py [--episodes 20000] [--workers 3] [--concurrency 64]
                              [--ends 7] [--outage 10] [--seed 0]

A real run directory, real worker processes, a real server on the loopback interface for a tenth of
the episodes. Steps hang, crash their worker, raise, and return what can't be pickled; workers are
killed from outside; the model fails, its server fails in all ways that there are and is gone for a
while; the whole run is killed again and again (SIGKILL) and asked to stop (SIGINT, SIGTERM), and
goes on each time. In the last stretch no worker is lost, so that workers grow old, too.

At the end there have to be exactly the planned episodes, with the rewards of a world without
faults; no growth of memory, no process, open file or temporary file left behind. Exit code 1 if
that is not so.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import re
import shutil
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))

import shaky_world
from openai_server import OpenAIServer, RandomFaults

from metaplan.models import ScriptedModel

TIMEOUT_S = 4.0
SAMPLE_EVERY_S = 0.25
FILES = {"config.yaml", "versions.json", "run.db", "run.lock"}
SHORTEST_STRETCH = 2000
"""Episodes over which growth can be told from chance."""
GROWTH_MIB = 0.5
"""Most growth of a process per 1,000 episodes; a run of the paper's size has 83,000."""
MORE_FILES = 8
"""Most growth of the open files in a stretch; no more connections than episodes in flight."""


@dataclass(frozen=True)
class Sample:
    """What the run's processes looked like at a moment."""

    finished: int
    memory_mib: float
    files: int
    connections: int
    workers_mib: dict[int, float]


@dataclass(frozen=True)
class Stretch:
    """One process of the run, from its start to its end."""

    end: str
    exit_code: int
    seconds: float
    finished: int
    workers_killed: int
    left_over: int
    samples: list[Sample]

    @property
    def growth_mib(self) -> float | None:
        """Of the process, per 1,000 episodes, once it is warm; None for a short stretch."""
        return slope([(sample.finished, sample.memory_mib) for sample in self.samples])

    @property
    def worker_growth_mib(self) -> float | None:
        """Of the worker that grows most, per 1,000 episodes of the run."""
        series: dict[int, list[tuple[int, float]]] = {}
        for sample in self.samples:
            for pid, memory_mib in sample.workers_mib.items():
                series.setdefault(pid, []).append((sample.finished, memory_mib))
        found = [growth for points in series.values() if (growth := slope(points)) is not None]
        return max(found, default=None)

    @property
    def more_files(self) -> int | None:
        """Open files, but for connections, by which the last third exceeds the one before."""
        third = len(self.samples) // 3
        if self.growth_mib is None:
            return None
        middle, end = self.samples[third : 2 * third], self.samples[2 * third :]
        return min(sample.files for sample in end) - min(sample.files for sample in middle)

    @property
    def connections(self) -> int:
        """The most at a time."""
        return max((sample.connections for sample in self.samples), default=0)


def slope(points: Sequence[tuple[int, float]]) -> float | None:
    """MiB per 1,000 episodes, by least squares over the last two thirds of the points."""
    warm = points[len(points) // 3 :]
    if not warm or warm[-1][0] - warm[0][0] < SHORTEST_STRETCH:
        return None
    finished, memory = zip(*warm, strict=True)
    return 1000 * statistics.linear_regression(finished, memory).slope


class Disturber:
    """Starts the run, breaks what it needs, and takes samples all the while.

    Args:
        work: An empty directory: for the run, and for all that its processes leave elsewhere.
        options: Of the command line.
    """

    def __init__(self, work: Path, options: argparse.Namespace) -> None:
        self.directory = work / "run"
        self.temporary = work / "tmp"
        self.temporary.mkdir()
        self._outage_s = options.outage
        self._dice = random.Random(options.seed)
        self._server = self._serve(0)
        runtime = {
            "workers": options.workers,
            "concurrency": options.concurrency,
            "timeout_s": TIMEOUT_S,
            "grace_s": 10.0,
            "retry": {"attempts": 12, "first_wait_s": 0.05, "longest_wait_s": 1.0},
        }
        self._environ = os.environ | {
            "PYTHONPATH": os.pathsep.join([str(install(work / "site")), *sys.path]),
            "TMPDIR": str(self.temporary),
            "OMP_NUM_THREADS": "1",
            "SOAK_MARK": str(work),
            "SOAK_EPISODES": str(options.episodes),
            "SOAK_RUNTIME": json.dumps(runtime),
            "SOAK_URL": self._server.url,
        }

    def close(self) -> None:
        """Stops the server."""
        self._server.stop()

    def _serve(self, port: int) -> OpenAIServer:
        faults = RandomFaults(0.1, self._dice.randrange(1000))
        server = OpenAIServer(ScriptedModel(shaky_world.reply), fault=faults, port=port)
        return server.__enter__()

    def stretch(
        self,
        end: signal.Signals | None = None,
        after: int = 0,
        *,
        outage_after: int | None = None,
        lethal: bool = True,
    ) -> Stretch:
        """Runs one process: to the end, or until a signal after so many more episodes.

        Args:
            end: The signal.
            after: How many episodes.
            outage_after: After so many, the model's server is gone for a while.
            lethal: Whether workers are lost: they kill themselves, hang, and are killed.
        """
        started, before = time.monotonic(), len(kept(self.directory))
        process = subprocess.Popen(
            [sys.executable, "-m", "shaky_world", str(self.directory)],
            env=self._environ | {"SOAK_LETHAL": str(int(lethal))},
            start_new_session=True,
        )
        samples: list[Sample] = []
        kills = 0
        kill_at = started
        signalled = end is None
        while process.poll() is None:
            time.sleep(SAMPLE_EVERY_S)
            sample = look_at(process.pid, len(kept(self.directory)))
            if sample is None:
                continue
            samples.append(sample)
            played = sample.finished - before
            if lethal and played and sample.workers_mib and time.monotonic() > kill_at:
                kills += kill(self._dice.choice(sorted(sample.workers_mib)))
                kill_at = time.monotonic() + self._dice.uniform(1.0, 8.0)
            if outage_after is not None and played >= outage_after:
                outage_after = None
                self._go_away()
            if not signalled and played > after:
                signalled = True
                time.sleep(self._dice.random() * SAMPLE_EVERY_S)
                send(process, end)
        return Stretch(
            end=end.name if end else "the end",
            exit_code=process.returncode,
            seconds=time.monotonic() - started,
            finished=len(kept(self.directory)),
            workers_killed=kills,
            left_over=left_over(self._environ["SOAK_MARK"]),
            samples=samples,
        )

    def _go_away(self) -> None:
        """An outage of the model's server; it comes back by itself."""
        port = self._server.port
        self._server.hang_up()  # first of all, or slow replies would be finished quickly
        self._server.stop()

        def come_back() -> None:
            self._server = self._serve(port)

        threading.Timer(self._outage_s, come_back).start()


def install(site: Path) -> Path:
    """Makes the world a benchmark that workers find by its entry point; returns where."""
    metadata = site / "shaky_world-1.0.dist-info"
    metadata.mkdir(parents=True)
    shutil.copy(shaky_world.__file__, site)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: shaky_world\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(
        "[metaplan.benchmarks]\nsoak = shaky_world:BENCHMARK\n"
    )
    return site


def kept(directory: Path) -> list[tuple[str, float]]:
    """Key and reward of every episode in the run's database."""
    path = directory / "run.db"
    if not path.exists():
        return []
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)) as connection:
        try:
            return connection.execute("SELECT key, reward FROM episodes").fetchall()
        except sqlite3.OperationalError:  # there is no table yet
            return []


def look_at(pid: int, finished: int) -> Sample | None:
    """A sample of a process and its workers; None when it is gone."""
    with contextlib.suppress(OSError):
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii")
        workers = {int(child): memory_mib(int(child)) for child in text.split()}
        files, connections = open_files(pid)
        if memory := memory_mib(pid):
            workers = {worker: mib for worker, mib in workers.items() if mib}
            return Sample(finished, memory, files, connections, workers)
    return None


def open_files(pid: int) -> tuple[int, int]:
    """How many files are open that are no connections, and how many connections."""
    opened = [str(entry.readlink()) for entry in Path(f"/proc/{pid}/fd").iterdir()]
    lines = Path(f"/proc/{pid}/net/tcp").read_text("ascii").splitlines()[1:]
    sockets = {f"socket:[{line.split()[9]}]" for line in lines}
    connections = sum(name in sockets for name in opened)
    return len(opened) - connections, connections


def memory_mib(pid: int) -> float:
    """Resident memory; 0 for a process that is gone."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text("ascii").split()[1])
    except OSError:
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def kill(pid: int) -> int:
    """Kills a worker; 1 if it was still there."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
        return 1
    return 0


def send(process: subprocess.Popen[bytes], end: signal.Signals) -> None:
    """A kill strikes the run alone; who asks it to stop asks all of its processes."""
    with contextlib.suppress(ProcessLookupError):
        if end is signal.SIGKILL:
            process.kill()
        else:
            os.killpg(process.pid, end)


def left_over(mark: str, patience_s: float = 10.0) -> int:
    """How many processes of the run go on after it, known by a variable of their environment."""
    deadline = time.monotonic() + patience_s
    while (count := sum(carries(mark, entry) for entry in Path("/proc").glob("[0-9]*"))) and (
        time.monotonic() < deadline
    ):
        time.sleep(0.1)
    return count


def carries(mark: str, process: Path) -> bool:
    """Whether a process runs and has the mark in its environment."""
    try:
        return f"SOAK_MARK={mark}\0".encode() in (process / "environ").read_bytes()
    except OSError:
        return False


# -- the soak


def soak(work: Path, options: argparse.Namespace) -> tuple[list[Stretch], list[str]]:
    """Disturbs a run until it is done; returns its stretches, and what is wrong."""
    total = options.episodes
    ends = [signal.SIGKILL, signal.SIGINT, signal.SIGKILL, signal.SIGTERM] * 2
    disturber = Disturber(work, options)
    try:
        stretches = [disturber.stretch(end, total // 40) for end in ends[: options.ends]]
        stretches.append(disturber.stretch(signal.SIGKILL, total // 3, outage_after=total // 10))
        stretches.append(disturber.stretch(lethal=False))
    finally:
        disturber.close()
    rewards = shaky_world.expected(total)
    return stretches, list(wrongs(disturber, stretches, rewards, options.concurrency))


def wrongs(
    disturber: Disturber, stretches: list[Stretch], rewards: dict[str, float], concurrency: int
) -> Iterator[str]:
    """What is not as it should be."""
    with closing(sqlite3.connect(disturber.directory / "run.db")) as connection:
        ((finding,), *_) = connection.execute("PRAGMA integrity_check")
    if finding != "ok":
        yield f"the database is damaged: {finding}"
    extra = {path.name for path in disturber.directory.iterdir()} - FILES
    extra |= {path.name for path in disturber.temporary.iterdir()}
    if extra:
        yield f"files left behind: {', '.join(sorted(extra))}"
    found = kept(disturber.directory)
    episodes = dict(found)
    for what, count in {
        "lost": len(rewards.keys() - episodes.keys()),
        "doubled": len(found) - len(episodes),
        "unplanned": len(episodes.keys() - rewards.keys()),
        "with another reward": sum(
            rewards.get(key, reward) != reward for key, reward in episodes.items()
        ),
    }.items():
        if count:
            yield f"{count} episodes {what}"
    codes = {"SIGKILL": -9, "SIGINT": 130, "SIGTERM": 143, "the end": 0}
    for number, stretch in enumerate(stretches, 1):
        was_done = stretch.finished == len(rewards) and stretch.exit_code == 0  # before the signal
        if stretch.exit_code != codes[stretch.end] and not was_done:
            yield f"stretch {number} ended with exit code {stretch.exit_code}"
        if stretch.left_over:
            yield f"stretch {number} left {stretch.left_over} processes"
        if stretch.more_files is not None and stretch.more_files > MORE_FILES:
            yield f"stretch {number}: {stretch.more_files} more open files"
        if stretch.connections > concurrency + MORE_FILES:
            yield f"stretch {number}: {stretch.connections} connections"
        for who, growth in {
            "the run": stretch.growth_mib,
            "a worker": stretch.worker_growth_mib,
        }.items():
            if growth is not None and growth > GROWTH_MIB:
                yield f"stretch {number}: {who} grows by {growth:.2f} MiB per 1,000 episodes"


def voids(directory: Path) -> list[tuple[str, int]]:
    """Void attempts by cause, numbers in the causes left out."""
    with closing(sqlite3.connect(directory / "run.db")) as connection:
        rows = connection.execute("SELECT stop_reason || ': ' || cause FROM voids").fetchall()
    return Counter(re.sub(r"\d+", "#", cause)[:90] for (cause,) in rows).most_common()


def shown(growth: float | None) -> str:
    """A growth for the table."""
    return "" if growth is None else f"{growth:+.3g}"


def main() -> int:
    """Soaks, prints tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--episodes", type=int, default=20_000)
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--concurrency", type=int, default=64)
    parser.add_argument("--ends", type=int, default=7, help="of the run by signals, at most 8")
    parser.add_argument("--outage", type=float, default=10.0, help="of the server, in seconds")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    work = Path(tempfile.mkdtemp(prefix="soak-"))
    started = time.monotonic()
    stretches, wrong = soak(work, options)
    causes = voids(work / "run")
    print(
        "| process until | exit | finished | s | workers killed | processes left | more files "
        "| connections | MiB | MiB/1,000 | worker's MiB/1,000 |\n" + "|---" * 11 + "|"
    )
    for one in stretches:
        memory = max((sample.memory_mib for sample in one.samples), default=0.0)
        print(
            f"| {one.end} | {one.exit_code} | {one.finished} | {one.seconds:.0f} "
            f"| {one.workers_killed} | {one.left_over} | {shown(one.more_files)} "
            f"| {one.connections} | {memory:.0f} "
            f"| {shown(one.growth_mib)} | {shown(one.worker_growth_mib)} |"
        )
    print("\n| void attempts | |\n|---|---|")
    for cause, count in causes:
        print(f"| {cause} | {count} |")
    print()
    for one in wrong:
        print(f"WRONG: {one}")
    if wrong:
        print(f"the run is kept in {work}")
        return 1
    print(
        f"all {options.episodes} episodes are there, with the rewards of a calm world, "
        f"after {time.monotonic() - started:.0f} s"
    )
    shutil.rmtree(work)
    return 0


if __name__ == "__main__":
    sys.exit(main())
