"""Environments: the contract, the registry of benchmarks, and the conformance check."""

from metaplan.environments.contract import (
    Benchmark,
    Environment,
    LoadedTask,
    Observation,
    Prompts,
    StepResult,
)
from metaplan.environments.registry import benchmarks, get_benchmark

__all__ = [
    "Benchmark",
    "Environment",
    "LoadedTask",
    "Observation",
    "Prompts",
    "StepResult",
    "benchmarks",
    "get_benchmark",
]
