"""Environments: the contract, the registry of benchmarks, and the conformance check."""

from metaplan.environments.check import Finding, check_environment
from metaplan.environments.contract import (
    Benchmark,
    Environment,
    LoadedTask,
    Observation,
    Prompts,
    SetSize,
    StepResult,
)
from metaplan.environments.registry import benchmarks, get_benchmark

__all__ = [
    "Benchmark",
    "Environment",
    "Finding",
    "LoadedTask",
    "Observation",
    "Prompts",
    "SetSize",
    "StepResult",
    "benchmarks",
    "check_environment",
    "get_benchmark",
]
