"""Python, cores, memory, limits of the operating system, the clock, temporary files."""

from __future__ import annotations

import os
import platform
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from metaplan import __version__
from metaplan.core import usable_cores
from metaplan.recipes import RunConfig
from metaplan.recipes.config import RuntimeConfig
from metaplan.runs.doctor.checks import Check, Finding

__all__ = ["gigabytes", "machine_checks"]

_LEAST_MEMORY_B = 2e9
_LEAST_TEMPORARY_B = 1e9
_OTHER_FILES = 200  # beside connections and workers
_OTHER_PROCESSES = 100  # threads count as processes
_CGROUP = Path("/sys/fs/cgroup")


def machine_checks(config: RunConfig | None) -> Iterator[Check]:
    """What every run needs."""
    runtime = config.runtime if config else RuntimeConfig()
    yield Check("python", _python)
    yield Check("cores, memory", lambda: _cores_and_memory(runtime))
    yield Check("limits", lambda: _limits(runtime))
    yield Check("clock", _clock)
    yield Check("temporary files", _temporary_files)


def gigabytes(size: float) -> str:
    """A size in words, such as ``1.2 GB``."""
    if size < 1e8:
        return f"{size / 1e6:.0f} MB"
    return f"{size / 1e9:,.1f} GB" if size < 1e10 else f"{size / 1e9:,.0f} GB"


def _python() -> Iterator[Finding]:
    yield Finding.fine(
        "python",
        f"Metaplan {__version__}, Python {platform.python_version()} ({sys.executable}), "
        f"{platform.system()} {platform.machine()}",
    )


def _cores_and_memory(runtime: RuntimeConfig) -> Iterator[Finding]:
    cores = _cores()
    fact = f"{cores:g} cores"
    if runtime.workers is not None and runtime.workers > 2 * cores:
        yield Finding.trouble(
            "cores",
            f"runtime.workers is {runtime.workers}, and there are {cores:g} cores",
            "runtime.workers: null starts one worker a core",
            needed=False,
        )
    memory = _memory()
    if memory is None:
        yield Finding.fine("cores", fact)
        return
    free, whole = memory
    fact += f", {gigabytes(free)} of {gigabytes(whole)} memory free"
    if free < _LEAST_MEMORY_B:
        remedy = "end other programs, or lower runtime.workers (ScienceWorld: 0.5 GB each)"
        yield Finding.trouble("cores, memory", fact, remedy, needed=False)
    else:
        yield Finding.fine("cores, memory", fact)


def _cores() -> float:
    """Those that this process may use: of its affinity, and of a container's share."""
    available = usable_cores()
    quota, _, period = (_first_line(_CGROUP / "cpu.max") or "max 1").partition(" ")
    return min(available, int(quota) / int(period)) if quota.isdigit() else available


def _memory() -> tuple[float, float] | None:
    """Bytes that are free, and in all; of the container where it has less. None where unknown."""
    try:
        lines = Path("/proc/meminfo").read_text("utf-8").splitlines()
    except OSError:
        return None
    sizes = {line.split(":")[0]: float(line.split()[1]) * 1024 for line in lines}
    free, whole = sizes.get("MemAvailable", 0.0), sizes["MemTotal"]
    limit, used = (_first_line(_CGROUP / f"memory.{name}") for name in ("max", "current"))
    if limit and used and limit.isdigit() and float(limit) < whole:
        return min(free, float(limit) - float(used)), float(limit)
    return free, whole


def _first_line(path: Path) -> str | None:
    try:
        return path.read_text("utf-8").splitlines()[0]
    except (OSError, LookupError):
        return None


def _limits(runtime: RuntimeConfig) -> Iterator[Finding]:
    """One connection for each episode in flight, three pipes for each worker."""
    workers = runtime.workers or os.cpu_count() or 1
    files = runtime.concurrency + 3 * workers + _OTHER_FILES
    open_files, most_files = resource.getrlimit(resource.RLIMIT_NOFILE)
    if _is_less(open_files, files):
        raised = f"ulimit -n {max(files, 4096)}"
        if _is_less(most_files, files):
            raised = "ask for a higher 'nofile' in /etc/security/limits.conf, or lower the recipe's"
            raised += " runtime.concurrency"
        yield Finding.trouble("open files", f"{open_files:,} allowed, {files:,} are needed", raised)
    processes, _ = resource.getrlimit(resource.RLIMIT_NPROC)
    in_container = _first_line(_CGROUP / "pids.max") or "max"
    if in_container.isdigit() and _is_less(int(in_container), workers + _OTHER_PROCESSES):
        processes = int(in_container)
    if _is_less(processes, workers + _OTHER_PROCESSES):
        yield Finding.trouble(
            "processes",
            f"{processes:,} allowed, {workers + _OTHER_PROCESSES:,} may be needed",
            "ulimit -u 4096, a container's --pids-limit, or fewer runtime.workers",
            needed=False,
        )
    if not _is_less(open_files, files):
        yield Finding.fine(
            "limits", f"{_words(open_files)} open files, {_words(processes)} processes"
        )


def _is_less(limit: int, needed: int) -> bool:
    return limit != resource.RLIM_INFINITY and limit < needed


def _words(limit: int) -> str:
    return "any number of" if limit == resource.RLIM_INFINITY else f"{limit:,}"


def _clock() -> Iterator[Finding]:
    """A clock that is far behind makes every certificate invalid; one that moves is harmless."""
    written_at = Path(__file__).stat().st_mtime
    now = time.strftime("%Y-%m-%d %H:%M %Z")
    if time.time() < written_at - 86_400:
        fact = f"it is {now}, and Metaplan was installed later than that"
        yield Finding.trouble("clock", fact, "set the clock: timedatectl set-ntp true")
    else:
        yield Finding.fine("clock", now)


def _temporary_files() -> Iterator[Finding]:
    remedy = "name a directory with room: export TMPDIR=/path"
    try:
        directory = tempfile.gettempdir()
        with tempfile.TemporaryFile() as file:
            file.write(b"\0" * 4096)
            file.flush()
    except OSError as error:
        yield Finding.trouble("temporary files", f"can't be written: {error.strerror}", remedy)
        return
    free = shutil.disk_usage(directory).free
    fact = f"{gigabytes(free)} free in {directory}"
    if free < _LEAST_TEMPORARY_B:
        yield Finding.trouble("temporary files", fact, remedy, needed=False)
    else:
        yield Finding.fine("temporary files", fact)
