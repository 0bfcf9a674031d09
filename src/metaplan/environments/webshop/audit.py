"""Checks WebShop's files on this machine: complete, readable, of the known size."""

from __future__ import annotations

from collections.abc import Iterator

from metaplan.core import DataError
from metaplan.environments.data import DataReport
from metaplan.environments.webshop.files import HUMAN, INDICES, SHOPS, find
from metaplan.environments.webshop.shop import BUILTIN
from metaplan.environments.webshop.task_sets import TASKS_IN_SET, list_tasks, shop_of

__all__ = ["audit"]

_PAPER_NOTES = {
    "train@paper": (
        "the published list of WebShop's train@paper has 1,824 goals, one of them twice and 21 of "
        "them in test@paper too; Table 1 says 1,624",
    ),
}


def audit() -> Iterator[DataReport]:
    """One report for every task set whose files are here; reads all of them.

    The whole shop is written into the cache when it is read first (minutes).
    """
    for task_set, expected in TASKS_IN_SET.items():
        shop = shop_of(task_set)
        if shop == BUILTIN:
            continue
        files = [SHOPS[shop].products, SHOPS[shop].attributes, HUMAN]
        if task_set.endswith("@paper"):
            files.append(INDICES[task_set.partition("@")[0]])
        try:
            paths = [find(file) for file in files]
            present = all(paths)
            count = len(list_tasks(task_set)) if present else 0
        except DataError as error:
            yield DataReport("webshop", task_set, None, 0, expected, (str(error),))
            continue
        directory = paths[0].parent if present and paths[0] else None
        problems = (
            () if count in {0, expected} else (f"{task_set} has {count} goals, not {expected}",)
        )
        notes = _PAPER_NOTES.get(task_set, ())
        yield DataReport("webshop", task_set, directory, count, expected, problems, notes)
