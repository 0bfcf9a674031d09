"""Who is at work in a run directory: one process at a time.

The kernel holds the lock (`flock`), so it ends with the process, however that ends. Between
machines that share a file system it holds as far as that passes locks on: NFS does, Lustre when it
is mounted with ``flock``, BeeGFS when its global file locks are switched on.
"""

from __future__ import annotations

import errno
import fcntl
import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from metaplan.core import Record, RunError

__all__ = ["RunningProcess", "run_lock", "running_process", "take_lock"]

_FILE = "run.lock"
_LONGEST = 300  # bytes of what is written in it


class RunningProcess(Record):
    """Who is at work in a run directory.

    Attributes:
        pid: Its number, on the machine where it runs; None where it is not known.
        host: That machine's name; empty where it is not known.
        since: Unix time of its start.
    """

    pid: int | None
    host: str
    since: float

    def __str__(self) -> str:
        """For messages: ``pid 4711 on node3``."""
        place = f" on {self.host}" if self.host else ""
        return f"pid {self.pid or 'unknown'}{place}"


def running_process(directory: Path) -> RunningProcess | None:
    """Who holds a run's lock; None where nobody does.

    Asks the kernel, for a process that was killed leaves its number behind.
    """
    try:
        descriptor = os.open(directory / _FILE, os.O_RDONLY)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _written_in(descriptor)
    except OSError:  # a file system without locks
        return None
    finally:
        os.close(descriptor)
    return None


@contextmanager
def run_lock(directory: Path) -> Iterator[None]:
    """Holds a run's lock for a while.

    Raises:
        RunError: See `take_lock`.
    """
    descriptor = take_lock(directory)
    try:
        yield
    finally:
        os.close(descriptor)


def take_lock(directory: Path) -> int:
    """Takes a run's lock.

    Args:
        directory: Made if absent.

    Returns:
        An open file; closing it gives the lock up.

    Raises:
        RunError: Another process has it, or the file system does not let us.
    """
    path = directory / _FILE
    try:
        directory.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise RunError(f"can't run in {directory}: {error.strerror} ({error.filename})") from None
    try:
        _lock_soon(descriptor)
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()} {platform.node()}".encode()[:_LONGEST])
    except BlockingIOError:
        holder = _written_in(descriptor)
        os.close(descriptor)
        raise RunError(
            f"another process ({holder}) is running in {directory}; wait for it, or use another "
            f"--out directory"
        ) from None
    except OSError as error:
        os.close(descriptor)
        raise RunError(f"can't lock {path}: {error.strerror}. {_remedy(error)}") from None
    return descriptor


def _lock_soon(descriptor: int) -> None:
    """Takes the lock; `running_process` may hold it for a moment, to find out whether it is free.

    Raises:
        BlockingIOError: Another process has it.
    """
    for wait_s in (0.01, 0.04, 0.15, None):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if wait_s is None:
                raise
            time.sleep(wait_s)
        else:
            return


def _remedy(error: OSError) -> str:
    if error.errno in {errno.ENOSYS, errno.ENOTSUP, errno.ENOLCK}:
        return "Use a file system with locks (Lustre has them when it is mounted with 'flock')"
    return "Put that right, then give the same command again"


def _written_in(descriptor: int) -> RunningProcess:
    pid, _, host = os.pread(descriptor, _LONGEST, 0).decode(errors="replace").partition(" ")
    return RunningProcess(
        pid=int(pid) if pid.isdigit() else None, host=host, since=os.fstat(descriptor).st_mtime
    )
