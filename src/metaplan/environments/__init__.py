"""Environments: the contract, the registry of benchmarks, and the conformance check."""

from metaplan.environments.contract import (
    Benchmark,
    Environment,
    LoadedTask,
    Observation,
    Prompts,
    StepResult,
)

__all__ = [
    "Benchmark",
    "Environment",
    "LoadedTask",
    "Observation",
    "Prompts",
    "StepResult",
]
