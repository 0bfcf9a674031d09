"""A tiny model and datasets in TRL's format, for all tests of training."""

import json
from pathlib import Path

import pytest

from metaplan.training import ScratchSettings, create_scratch_model

OBJECTS = ("mug", "plate", "apple", "knife")
PLACES = ("fridge", "drawer", "countertop", "sinkbasin")
TINY = ScratchSettings(hidden_size=32, layers=2, heads=2, intermediate_size=64, context=256, seed=3)


def prompt(thing: str, place: str) -> list[dict[str, str]]:
    text = f"You see a {place} 1, and a shelf 12.\n\nYour task is to: put a {thing} in {place}."
    return [{"role": "user", "content": text}]


def plan(thing: str, place: str) -> str:
    steps = (f"Take the {thing}.", f"Go to the {place}.", f"Put the {thing} in the {place}.")
    lines = "\n".join(f"Step {number}: {step}" for number, step in enumerate(steps, 1))
    return f"<meta_plan>\n{lines}\n</meta_plan>"


def reply(text: str) -> list[dict[str, str]]:
    return [{"role": "assistant", "content": text}]


TASKS = [(thing, place) for thing in OBJECTS for place in PLACES]


def write_jsonl(path: Path, lines: list[dict]) -> Path:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory) -> Path:
    texts = [text for task in TASKS for text in (prompt(*task)[0]["content"], plan(*task))]
    return create_scratch_model(texts, tmp_path_factory.mktemp("models") / "tiny", TINY)


@pytest.fixture(scope="session")
def sft_data(tmp_path_factory) -> Path:
    lines = [
        {"prompt": prompt(*task), "completion": reply(plan(*task)), "task_key": "household/1"}
        for task in TASKS
    ]
    return write_jsonl(tmp_path_factory.mktemp("data") / "sft.jsonl", lines)


@pytest.fixture(scope="session")
def dpo_data(tmp_path_factory) -> Path:
    lines = [
        {
            "prompt": prompt(thing, place),
            "chosen": reply(plan(thing, place)),
            "rejected": reply(plan(thing, "shelf")),
            "chosen_score": 0.8,
        }
        for thing, place in TASKS
    ]
    return write_jsonl(tmp_path_factory.mktemp("data") / "dpo.jsonl", lines)


def episode(thing: str, place: str) -> list[dict[str, str]]:
    """What an agent says, and observes between."""
    return [
        *reply(f"Take the {thing}."),
        {"role": "user", "content": f"You see a {thing} 1."},
        *reply(f"Go to the {place}."),
        {"role": "user", "content": f"You see a {place} 1."},
        *reply(f"Put the {thing} in the {place}."),
    ]


@pytest.fixture(scope="session")
def episodes_data(tmp_path_factory) -> Path:
    lines = [{"messages": prompt(*task) + episode(*task), "plan_key": None} for task in TASKS]
    return write_jsonl(tmp_path_factory.mktemp("data") / "episodes.jsonl", lines)
