"""A small hand-made ALFWorld game, and the real ones where they are."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest

from metaplan.environments.alfworld.stock import TEXTWORLD_BREAKS_ON

TINY_PROBLEM = """
(define (problem tiny) (:domain alfred)
(:objects
  agent1 - agent
  loc_bar_0 loc_bar_1 loc_bar_2 loc_bar_3 - location
  Desk_bar_1 Drawer_bar_1 Drawer_bar_2 Sink_bar_1_bar_SinkBasin - receptacle
  Pencil_bar_1 Pencil_bar_2 Cup_bar_1 DeskLamp_bar_1 Knife_bar_1 Apple_bar_1 - object
  DeskType DrawerType SinkBasinType MicrowaveType FridgeType - rtype
  PencilType CupType DeskLampType KnifeType ButterKnifeType AppleType - otype)
(:init
  (receptacleType Desk_bar_1 DeskType) (receptacleType Drawer_bar_1 DrawerType)
  (receptacleType Drawer_bar_2 DrawerType) (receptacleType Sink_bar_1_bar_SinkBasin SinkBasinType)
  (objectType Pencil_bar_1 PencilType) (objectType Pencil_bar_2 PencilType)
  (objectType Cup_bar_1 CupType) (objectType DeskLamp_bar_1 DeskLampType)
  (objectType Knife_bar_1 KnifeType) (objectType Apple_bar_1 AppleType)
  (canContain DeskType PencilType) (canContain DrawerType PencilType)
  (canContain DeskType CupType) (canContain SinkBasinType CupType) (canContain DeskType KnifeType)
  (pickupable Pencil_bar_1) (pickupable Pencil_bar_2) (pickupable Cup_bar_1)
  (pickupable Knife_bar_1) (cleanable Cup_bar_1) (toggleable DeskLamp_bar_1)
  (sliceable Apple_bar_1) (isReceptacleObject Cup_bar_1)
  (openable Drawer_bar_1) (openable Drawer_bar_2) (opened Drawer_bar_2)
  (atLocation agent1 loc_bar_0)
  (receptacleAtLocation Desk_bar_1 loc_bar_1) (receptacleAtLocation Drawer_bar_1 loc_bar_2)
  (receptacleAtLocation Drawer_bar_2 loc_bar_2)
  (receptacleAtLocation Sink_bar_1_bar_SinkBasin loc_bar_3)
  (inReceptacle Pencil_bar_1 Desk_bar_1) (objectAtLocation Pencil_bar_1 loc_bar_1)
  (inReceptacle Pencil_bar_2 Drawer_bar_1) (objectAtLocation Pencil_bar_2 loc_bar_2)
  (inReceptacle Cup_bar_1 Desk_bar_1) (objectAtLocation Cup_bar_1 loc_bar_1)
  (inReceptacle Knife_bar_1 Desk_bar_1) (objectAtLocation Knife_bar_1 loc_bar_1)
  (inReceptacle Apple_bar_1 Desk_bar_1) (objectAtLocation Apple_bar_1 loc_bar_1)
  (inReceptacle DeskLamp_bar_1 Desk_bar_1) (objectAtLocation DeskLamp_bar_1 loc_bar_1))
(:goal (and (exists (?r - receptacle ?o - object) (and
  (inReceptacle ?o ?r) (objectType ?o PencilType) (receptacleType ?r DrawerType)
  (not (= ?r Drawer_bar_1)))))))
"""

TINY_SOLUTION = (
    "go to desk 1",
    "take pencil 2 from desk 1",
    "go to drawer 1",
    "put pencil 2 in/on drawer 1",
)


@pytest.fixture(params=["move", "put"])
def tiny_game(request: pytest.FixtureRequest) -> dict[str, Any]:
    """A room with a desk, a closed and an open drawer and a sink, in either grammar."""
    return _tiny_game(request.param)


@pytest.fixture
def tiny_game_in() -> Callable[[str], dict[str, Any]]:
    """Makes the same game in the grammar that is asked for."""
    return _tiny_game


def _tiny_game(grammar: str) -> dict[str, Any]:
    info = pytest.importorskip("alfworld.info", reason="the extra 'alfworld' is not installed")
    text = Path(info.ALFRED_TWL2_PATH).read_text("utf-8")
    text = text.replace("UNKNOWN GOAL", "put some pencil in drawer")
    if grammar == "put":  # no official family: TextWorld has to vouch for it
        if sys.version_info >= TEXTWORLD_BREAKS_ON:
            pytest.skip("TextWorld itself can't play on this Python")
        text = text.replace("move {o} to {r}", "put {o} in/on {r}")
        text = text.replace("You arrive at {r.name}.", "You arrive at {lend.name}.")
    return {
        "pddl_domain": Path(info.ALFRED_PDDL_PATH).read_text("utf-8"),
        "pddl_problem": TINY_PROBLEM,
        "grammar": text,
        "solvable": True,
        "walkthrough": [
            step.replace("put", "move").replace("in/on", "to") for step in TINY_SOLUTION
        ],
    }


@pytest.fixture
def tiny_solution() -> tuple[str, ...]:
    """The commands that solve the tiny game, as agents spell them."""
    return TINY_SOLUTION


@pytest.fixture(scope="session")
def alfworld_data() -> Path:
    """The data directory with the real games; see the README for what to put where."""
    from metaplan.core import DataError
    from metaplan.environments.alfworld.games import list_tasks

    try:
        for task_set in ("valid_seen@put", "valid_unseen@put", "valid_seen@move"):
            list_tasks(task_set)
    except DataError as error:
        _without_data(str(error))
    return Path(os.environ.get("METAPLAN_DATA", ""))


@pytest.fixture(scope="session")
def published_lists() -> None:
    """The lists of ScienceWorld's sets ``@paper`` are there."""
    from metaplan.environments.scienceworld import BENCHMARK

    absent = [source.name for source in BENCHMARK.data.sources if not source.path.exists()]
    if absent:
        _without_data(f"{', '.join(absent)} are absent: 'metaplan data fetch scienceworld'")


def _without_data(reason: str) -> NoReturn:
    if os.environ.get("METAPLAN_REQUIRE_DATA") == "1":
        pytest.fail(f"METAPLAN_REQUIRE_DATA is set, but {reason}")
    pytest.skip(reason)
