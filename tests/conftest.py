"""One tiny run of all of MPO, made once a session; and a third party's benchmark."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

# What a script starts in the background ignores Ctrl-C, and so would the processes of the tests.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

TINY_RECIPE = """\
name: tiny
benchmark: household
tasks:
  train: {task_set: train, count: 12}
  evaluate:
    seen: {task_set: seen, count: 3}
    unseen: {task_set: unseen, count: 3}
agent: {model: follower, profile: compact}
planner:
  base: scratch
  profile: compact
  max_tokens: 96
  scratch: {hidden_size: 64, layers: 1, heads: 2, intermediate_size: 128, context: 768}
sft:
  epochs: 40
  batch_size: 6
  per_device_batch_size: 6
  learning_rate: 1.0e-2
  max_length: 640
explore: {tasks: 6, plans_per_task: 3, episodes_per_plan: 2, temperature: 1.0}
rft: {epochs: 1, batch_size: 4, per_device_batch_size: 4, learning_rate: 5.0e-4, max_length: 640}
dpo: {epochs: 1, batch_size: 4, per_device_batch_size: 4, learning_rate: 1.0e-4, max_length: 640}
runtime: {workers: 1, concurrency: 8}
"""

TINY_TUNING = """\
name: tiny
benchmark: household
tasks:
  train: {task_set: train, count: 12}
  evaluate:
    seen: {task_set: seen, count: 2}
agent: {model: tuned, profile: compact, max_tokens: 24, max_batch: 8}
tuning:
  scratch: {hidden_size: 32, layers: 1, heads: 1, intermediate_size: 32, context: 2048}
  sft: {epochs: 2, batch_size: 4, per_device_batch_size: 4, learning_rate: 3.0e-3, max_length: 1024}
  eto: {epochs: 1, batch_size: 1, per_device_batch_size: 1, learning_rate: 1.0e-4, max_length: 1024}
  eto_tasks: 3
explore: {temperature: 1.0}
evaluate: {methods: [none]}
runtime: {workers: 1, concurrency: 8}
"""


@pytest.fixture(scope="session")
def tuning_recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recipe that trains an agent, which learns little in some seconds."""
    path = tmp_path_factory.mktemp("recipe") / "tuning.yaml"
    path.write_text(TINY_TUNING, "utf-8")
    return path


@pytest.fixture(scope="session")
def tiny_recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recipe whose whole run takes some seconds."""
    path = tmp_path_factory.mktemp("recipe") / "tiny.yaml"
    path.write_text(TINY_RECIPE, "utf-8")
    return path


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory: pytest.TempPathFactory, tiny_recipe: Path) -> Path:
    """A finished run of the tiny recipe; not to be written to."""
    from metaplan import load_recipe, run_mpo

    directory = tmp_path_factory.mktemp("finished") / "run"
    run_mpo(load_recipe(tiny_recipe), directory)
    return directory


@pytest.fixture
def run_copy(finished_run: Path, tmp_path: Path) -> Path:
    """A finished run of one's own."""
    return Path(shutil.copytree(finished_run, tmp_path / "run"))


@pytest.fixture(scope="session")
def shaky_package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with an installed third-party benchmark: a module and its metadata."""
    site = tmp_path_factory.mktemp("site")
    shutil.copy(Path(__file__).parent / "episodes" / "shaky_benchmark.py", site / "shaky.py")
    metadata = site / "shaky-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: shaky\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[metaplan.benchmarks]\nshaky = shaky:BENCHMARK\n")
    return site


@pytest.fixture
def shaky_installed(shaky_package: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The third party's benchmark, seen by this process and by those that it starts."""
    monkeypatch.syspath_prepend(str(shaky_package))
    monkeypatch.setenv("PYTHONPATH", str(shaky_package))
    return shaky_package


@pytest.fixture
def metaplan_command(monkeypatch: pytest.MonkeyPatch):
    """Calls the command line in a process of its own."""

    def call(*arguments: object, **options) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command(*arguments), capture_output=True, text=True, timeout=120, check=False, **options
        )

    def command(*arguments: object) -> list[str]:
        main = "from metaplan.cli import main; main()"
        return [sys.executable, "-c", main, *map(str, arguments)]

    call.command = command
    monkeypatch.setenv("OMP_NUM_THREADS", os.environ.get("OMP_NUM_THREADS", "1"))
    return call
