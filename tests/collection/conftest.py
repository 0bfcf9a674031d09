"""Expert trajectories of a small household, and servers that summarise them."""

import contextlib

import pytest
from openai_server import OpenAIServer

from metaplan.core import ExpertStep, ExpertTrajectory, Task


def _trajectory(key, *actions, success=True, observation="Done.", thought=""):
    task = Task(
        key=key,
        benchmark="household",
        task_set="train",
        task_type="any",
        instruction=f"You are in the room of {key}. Your task is to: take a {{mug}}.",
    )
    steps = tuple(
        ExpertStep(action=action, observation=observation, thought=thought) for action in actions
    )
    return ExpertTrajectory(
        task=task, steps=steps, reward=float(success), success=success, source="recorded"
    )


@pytest.fixture(scope="session")
def trajectory():
    """Makes a trajectory from a task's key and actions."""
    return _trajectory


@pytest.fixture
def serve():
    """Starts servers on loopback, which end with the test."""
    with contextlib.ExitStack() as servers:
        yield lambda *arguments, **options: servers.enter_context(
            OpenAIServer(*arguments, **options)
        )
