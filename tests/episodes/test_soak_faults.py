"""The soak of `benchmarks/soak.py`, short: everything breaks, and nothing is lost."""

import os
import subprocess
import sys
from pathlib import Path

SOAK = Path(__file__).parents[2] / "benchmarks" / "soak.py"


def test_a_run_in_which_everything_breaks_ends_with_exactly_the_planned_episodes():
    options = {"episodes": 400, "ends": 2, "outage": 1, "workers": 2, "concurrency": 32}
    done = subprocess.run(
        [sys.executable, SOAK, *(f"--{name}={value}" for name, value in options.items())],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "all 400 episodes are there, with the rewards of a calm world" in done.stdout
    assert "environment worker died (signal SIGKILL)" in done.stdout
