"""The files of a run directory beside its database: configuration, versions, status."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import Any

from metaplan import __version__
from metaplan.core import ConfigError, RunError
from metaplan.environments import Benchmark
from metaplan.episodes import RunStatus, RunStore, is_network_mount, running_process
from metaplan.models.served import api_key_for
from metaplan.recipes import RunConfig, changed_fields, load_recipe
from metaplan.runs.models import agent_directory
from metaplan.runs.tasks import chosen_tasks
from metaplan.training import accelerate_file

__all__ = [
    "STATUS_FILE",
    "check_inputs",
    "check_keys",
    "check_resumable",
    "check_same_data",
    "read_status",
    "settle",
    "versions",
    "write_text",
]

STATUS_FILE = "status.json"
_PACKAGES = (
    "alfworld", "textworld", "fast_downward_textworld", "scienceworld", "openai", "torch",
    "transformers", "trl", "peft", "accelerate", "datasets", "numpy", "scipy",
)  # fmt: skip


def read_status(directory: Path) -> RunStatus:
    """How a run is doing, while it runs or after.

    On a network mount it is what the run wrote last, which is some seconds old.

    Raises:
        RunError: The directory holds no run.
    """
    if is_network_mount(directory) and (snapshot := _snapshot(directory)):
        return snapshot.model_copy(update={"running": running_process(directory)})
    with RunStore(directory, read_only=True) as store:
        return store.status()


def _snapshot(directory: Path) -> RunStatus | None:
    """What the run wrote; None where it wrote nothing, or another version of Metaplan did."""
    try:
        return RunStatus.model_validate_json((directory / STATUS_FILE).read_text("utf-8"))
    except (OSError, ValueError):
        return None


def versions(benchmark: Benchmark, task_sets: Iterable[str]) -> dict[str, Any]:
    """What shapes a number beside the configuration: packages, platform, data."""
    return {
        "metaplan": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {name: found for name in _PACKAGES if (found := _version(name))},
        "benchmark": {name: dict(benchmark.fingerprint(name)) for name in task_sets},
    }


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def settle(config: RunConfig | None, directory: Path) -> RunConfig:
    """The configuration to go on with.

    Raises:
        RunError: There is none, or it differs from the directory's in shaping fields.
    """
    if config is not None:
        check_resumable(config, directory)
        return config
    path = directory / "config.yaml"
    if not path.exists():
        raise RunError(f"{directory} holds no run: name a recipe to start one")
    return load_recipe(path)


def check_resumable(config: RunConfig, directory: Path) -> None:
    """Refuses to go on with another experiment's directory.

    Raises:
        RunError: Names the shaping fields that differ.
    """
    path = directory / "config.yaml"
    if not path.exists():
        return
    changes = changed_fields(load_recipe(path), config)
    if changes:
        raise RunError(
            f"{directory} holds a run with another configuration; these fields shape its numbers "
            f"and can't change:\n  " + "\n  ".join(changes) + "\nUse another --out directory, or "
            "the run's own values (config.yaml)"
        )


def check_same_data(facts: dict[str, Any], directory: Path) -> None:
    """Refuses to mix numbers from different games in one run.

    Args:
        facts: See `versions`.
        directory: A run directory, new or not.

    Raises:
        RunError: The benchmark's data or generator is not that of the run.
    """
    path = directory / "versions.json"
    if not path.exists():
        return
    before = json.loads(path.read_text("utf-8"))["benchmark"]
    for task_set, now in facts["benchmark"].items():
        then = before.get(task_set, now)
        changed = [name for name in sorted(then | now) if then.get(name) != now.get(name)]
        if changed:
            words = ", ".join(f"{name} {then.get(name)} → {now.get(name)}" for name in changed)
            raise RunError(
                f"{directory} was made with other games of '{task_set}' ({words}): use another "
                f"--out directory, or what it was made with (versions.json)"
            )


def check_keys(config: RunConfig) -> None:
    """Makes sure, before any work, that served models can be asked.

    Raises:
        ConfigError: The environment variable with an endpoint's key is not set.
    """
    summariser, prompted = config.collect.summariser, config.prompted
    for served in (
        config.agent.served,
        summariser.served if summariser and config.trains_planner else None,
        prompted.served if prompted and "prompted" in config.evaluate.methods else None,
    ):
        if served is not None:
            for url in served.urls:
                api_key_for(url, served)


def check_inputs(config: RunConfig, benchmark: Benchmark) -> None:
    """Makes sure, before any work, that what a configuration names is there and can be done.

    Raises:
        UserError: A task set does not exist or is too small, a file is missing, or the benchmark
            lacks the rule that a field asks for.
    """
    for wanted in (config.tasks.train, *config.tasks.evaluate.values()):
        chosen_tasks(benchmark, wanted, config.seed)
    named = {
        "collect.seed_plans": config.collect.seed_plans,
        "collect.trajectories": config.collect.trajectories,
        "explore.pairs": config.explore.pairs,
    }
    for field, path in named.items():
        if path is not None and not Path(path).exists():
            raise ConfigError(f"{field}: there is no {path}")
    if config.collect.other_goals and benchmark.with_other_goal is None:
        raise ConfigError(
            f"collect.other_goals: plans of {benchmark.name} can't be told with another goal: set 0"
        )
    if config.explore.merged and benchmark.merge is None:
        raise ConfigError(f"explore.merged: plans of {benchmark.name} can't be merged: set false")
    if config.agent.path is not None:
        agent_directory(config.agent.path)
    if config.runtime.accelerate is not None:
        accelerate_file(config.runtime.accelerate)


def write_text(path: Path, text: str) -> None:
    """Writes a file that appears whole or not at all.

    Raises:
        RunError: It can't be written.
    """
    partial = path.with_name(path.name + ".partial")
    try:
        partial.write_text(text, "utf-8")
        partial.replace(path)
    except OSError as error:
        raise RunError(
            f"can't write {path}: {error.strerror}. Free some disk space or put the permissions "
            f"right, then give the same command again"
        ) from None
