"""Which goals there are to shop for: of the built-in shop, the 1,000 products, and the whole shop.

The sets ``@official`` are WebShop's own split of its 12,087 human goals, by their place in the
official order: 500 to test, 1,000 to develop, the rest to learn from. The sets ``@paper`` are the
lists that ETO published and MPO used (paper, Table 1), which are places in the same order.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from metaplan.core import DataError, Task
from metaplan.environments.webshop.builtin import part_of
from metaplan.environments.webshop.files import INDICES, read_json
from metaplan.environments.webshop.goals import Goal, official_order
from metaplan.environments.webshop.shop import BUILTIN, Shop, open_shop

__all__ = ["HUMAN_GOALS", "TASKS_IN_SET", "TASK_SETS", "goal_of", "list_tasks", "shop_of"]

TASK_SETS = {
    "train@builtin": "1,944 goals in a small shop of our own, to learn from; nothing to download",
    "validation@builtin": "366 goals for other products there, for model selection",
    "test@builtin": "570 goals for other products there, for evaluation",
    "human@1000": "13 goals that people wrote, among the 1,000 products",
    "synthetic@1000": "6,910 goals made from attributes and options, among the 1,000 products",
    "train@official": "10,587 goals that people wrote, among all 1.18 million products",
    "dev@official": "1,000 goals: places 500 to 1,499 of WebShop's own order",
    "test@official": "500 goals: the first of WebShop's own order",
    "train@paper": "1,823 goals: ETO's list, as the paper uses it; 21 of them are in test@paper",
    "test@paper": "200 goals: ETO's list, as the paper uses it",
}

HUMAN_GOALS = 12_087
"""In the whole shop."""

_DEV, _TRAIN = 500, 1500
"""Where these parts of the official order begin; the first is to test."""

TASKS_IN_SET = {
    "train@builtin": 1944,
    "validation@builtin": 366,
    "test@builtin": 570,
    "human@1000": 13,
    "synthetic@1000": 6910,
    "train@official": HUMAN_GOALS - _TRAIN,
    "dev@official": _TRAIN - _DEV,
    "test@official": _DEV,
    "train@paper": 1823,
    "test@paper": 200,
}
"""How many there are."""


def shop_of(task_set: str) -> str:
    """The name of the shop that a task set's goals are in."""
    where = task_set.partition("@")[2]
    return where if where in {BUILTIN, "1000"} else "full"


def list_tasks(task_set: str) -> tuple[Task, ...]:
    """The tasks of a task set, sorted by key, without instructions.

    Raises:
        DataError: There is no such task set, or its data is missing or malformed.
    """
    if task_set not in TASK_SETS:
        raise DataError(f"WebShop has no task set {task_set!r}; there are: {', '.join(TASK_SETS)}")
    part, _, where = task_set.partition("@")
    if where in {"official", "paper"}:
        places = _listed(part) if where == "paper" else _official(part)
        return _tasks(task_set, _at_places(open_shop("full"), places))
    goals = open_shop(where).goals.values()
    return _tasks(task_set, ((goal, {}) for goal in goals if _belongs(goal, part, where)))


def _official(part: str) -> range:
    ends = {"test": (0, _DEV), "dev": (_DEV, _TRAIN), "train": (_TRAIN, HUMAN_GOALS)}
    return range(*ends[part])


def _belongs(goal: Goal, part: str, where: str) -> bool:
    return part_of(goal.asin) == part if where == BUILTIN else goal.id.startswith(f"{part}-")


def _listed(part: str) -> Sequence[int]:
    path = INDICES[part].path
    if not path.exists():
        raise DataError(
            f"{path} is missing: the paper's task sets need ETO's list files. Run "
            f"'metaplan data fetch {INDICES[part].name}', or use a set '@official'"
        )
    places = read_json(path)
    if not isinstance(places, list) or not all(isinstance(place, int) for place in places):
        raise DataError(f"{path} is malformed: it must be a list of places in the official order")
    return places


def _at_places(shop: Shop, places: Sequence[int]) -> Iterator[tuple[Goal, Mapping[str, str]]]:
    """The human goals at places of the official order; one that is named twice counts once."""
    goals = [goal for goal in shop.goals.values() if goal.id.startswith("human-")]
    if len(goals) != HUMAN_GOALS:
        raise DataError(
            f"WebShop's whole shop has {len(goals):,} human goals here instead of "
            f"{HUMAN_GOALS:,}: its official order can't be told; fetch its files again"
        )
    order = official_order(len(goals))
    for place in dict.fromkeys(places):
        if not 0 <= place < len(order):
            raise DataError(f"there is no place {place} in WebShop's order of {len(order):,} goals")
        yield goals[order[place]], {"place": str(place)}


def _tasks(task_set: str, chosen: Iterator[tuple[Goal, Mapping[str, str]]]) -> tuple[Task, ...]:
    tasks = (
        Task(
            key=f"webshop/{goal.id}",
            benchmark="webshop",
            task_set=task_set,
            task_type=goal.category,
            source={"goal": goal.id, **facts},
        )
        for goal, facts in chosen
    )
    return tuple(sorted(tasks, key=lambda task: task.key))


def goal_of(task: Task) -> tuple[Shop, Goal]:
    """A task's goal, and the shop that it is in.

    Raises:
        DataError: The task is none of these, or its data is missing.
    """
    if task.benchmark != "webshop" or task.task_set not in TASK_SETS:
        raise DataError(f"not a WebShop task: {task.key} of {task.task_set!r}")
    shop = open_shop(shop_of(task.task_set))
    goal = shop.goals.get(task.source.get("goal", ""))
    if goal is None:
        raise DataError(f"{task.key}: there is no such goal in the shop {shop_of(task.task_set)!r}")
    return shop, goal
