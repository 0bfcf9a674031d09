"""What runs on this machine, for tests that nothing is left behind."""

import time
from pathlib import Path


def _stat(pid: int) -> tuple[str, int]:
    """State and parent; a process that is gone is a zombie."""
    try:
        state, parent = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:2]
    except (FileNotFoundError, ProcessLookupError):
        return "Z", 0
    return state, int(parent)


def exists(pid: int) -> bool:
    """Whether a process runs (a zombie does not)."""
    return _stat(pid)[0] != "Z"


def running() -> list[int]:
    """All processes of this machine."""
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdecimal()]


def descendants(pid: int) -> list[int]:
    """Running processes that a process has started, and those that these have started."""
    parents = {
        each: parent for each in running() for state, parent in [_stat(each)] if state != "Z"
    }
    found = [pid]
    for parent in found:  # grows
        found += [each for each, its_parent in parents.items() if its_parent == parent]
    return found[1:]


def wait_until_gone(pids: list[int], seconds: float = 8.0) -> list[int]:
    """Waits for processes to end; those that do not."""
    deadline = time.monotonic() + seconds
    while (left := [pid for pid in pids if exists(pid)]) and time.monotonic() < deadline:
        time.sleep(0.05)
    return left
