"""The files behind the task sets of the paper: ETO's lists, which the authors' code reads.

The simulator itself, its tasks and its own folds come with the package ``scienceworld``. The lists
have no licence: everybody fetches them from where they were published, at one commit; nothing of
them is part of Metaplan.
"""

from __future__ import annotations

from metaplan.environments.data import DataSource

__all__ = ["LISTS", "SOURCES"]

_COMMIT = "a2fc5da38f8d00cfaf3f9b6370d586eebaf72904"
_FOLDER = f"https://raw.githubusercontent.com/Yifan-Song793/ETO/{_COMMIT}/eval_agent/data/sciworld"


def _list(name: str, holds: str, size_bytes: int, sha256: str) -> DataSource:
    return DataSource(
        name=f"splits/sciworld/{name}",
        holds=holds,
        url=f"{_FOLDER}/{name}",
        size_bytes=size_bytes,
        sha256=sha256,
    )


# The checksums were taken from a copy of the files at this commit.
LISTS = {
    "train": _list(
        "train_indices.json",
        "1,483 tasks to learn from: type and variation",
        96_759,
        "c79eea7858383b829269986ee83d0d9a504533e7b4b3a5bc76e5bdc1e6999cd0",
    ),
    "dev": _list(
        "dev_indices.json",
        "194 tasks, the paper's 'seen'",
        13_419,
        "78084ef4393d2da87b21507451821e431daa1a70ab1a486fd1a964ab2404d741",
    ),
    "test": _list(
        "test_indices.json",
        "211 tasks, the paper's 'unseen'; its Table 1 says 241",
        14_541,
        "dfe4ab263824f04a49cf977b8f6d65af516ce13b8cfbef5736a97ed993da7152",
    ),
    "max_steps": _list(
        "max_steps.json",
        "step limit of each task type",
        984,
        "035592f47fbe1309b6ed1a260b392a50d94d3163de951508a74e985d93048f73",
    ),
    "task_ids": _list(
        "taskname2id.json",
        "numbers of the task types in the original repository's ids",
        1_278,
        "5b02636ef23caeb1da567814fa59ab1f62e2a9276b7f28f57ee4d7cfab784fe2",
    ),
}

SOURCES = tuple(LISTS.values())
