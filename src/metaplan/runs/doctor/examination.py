"""Which checks an examination consists of."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from metaplan.core import DataError, MissingDependencyError
from metaplan.environments import get_benchmark
from metaplan.recipes import RunConfig
from metaplan.runs.doctor.benchmarks import benchmark_checks
from metaplan.runs.doctor.checks import Check, Finding
from metaplan.runs.doctor.machine import machine_checks
from metaplan.runs.doctor.models import model_checks
from metaplan.runs.doctor.packages import package_checks
from metaplan.runs.doctor.storage import run_checks, storage_checks
from metaplan.runs.files import check_inputs

__all__ = ["checks_for"]


def checks_for(
    config: RunConfig | None = None, directory: Path | None = None, *, exists: bool = False
) -> list[Check]:
    """The checks of an installation, or of what a run needs.

    Args:
        config: The run. With it, what it needs and lacks is broken, and its endpoints are asked;
            without it, only what is there and does not work.
        directory: Where the run is, or will be.
        exists: Whether there is a run in the directory.
    """
    return list(_checks(config, directory, exists=exists))


def _checks(config: RunConfig | None, directory: Path | None, *, exists: bool) -> Iterator[Check]:
    if config is not None:
        yield Check("recipe", partial(_recipe, config), 120.0)
    yield from machine_checks(config)
    yield from package_checks(config)
    yield from storage_checks(config, directory)
    yield from benchmark_checks(config)
    if config is not None:
        yield from model_checks(config)
    if directory is not None and exists:
        yield from run_checks(directory)


def _recipe(config: RunConfig) -> Iterator[Finding]:
    """What a run looks at before it begins: files that are named, counts of tasks.

    Raises:
        UserError: Something is not there.
    """
    try:
        check_inputs(config, get_benchmark(config.benchmark))
    except (DataError, MissingDependencyError):
        return  # the benchmark's own check says more
    yield Finding.fine("recipe", f"{config.name}: the files that it names are here")
