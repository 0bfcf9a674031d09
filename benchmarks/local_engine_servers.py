"""A `transformers serve` process for `local_engine.py`, and what processes use."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def served(model: Path, *options: str) -> Iterator[tuple[str, int]]:
    """Base URL and process id of a server on a free loopback port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "transformers.cli.transformers", "serve", str(model)]
    places = ["--host", "127.0.0.1", "--port", str(port), "--device", "cpu"]
    log = model.parent / "serve.log"
    with log.open("w") as output:
        process = subprocess.Popen([*command, *places, *options], stdout=output, stderr=output)
    try:
        _wait_until_healthy(f"http://127.0.0.1:{port}/health", process, log)
        yield f"http://127.0.0.1:{port}/v1", process.pid
    finally:
        process.terminate()
        process.wait()


def _wait_until_healthy(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    for _ in range(1200):
        if process.poll() is not None:
            sys.exit(f"the server ended: {log.read_text()[-300:]}")
        try:
            with opener.open(url, timeout=5):
                return
        except OSError:
            time.sleep(0.5)
    sys.exit("the server does not come up")


def cpu_s_of(process: int) -> float:
    """CPU seconds of a process, its threads included."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peak_mib(process: int) -> float:
    """Most memory that a process has had at a time, in MiB."""
    status = Path(f"/proc/{process}/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    return int(found[1]) / 1024 if found else 0.0
