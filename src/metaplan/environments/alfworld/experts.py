"""Solved ALFWorld games: recorded experts, and the walkthroughs inside newer games.

Only the actions are taken from the recording; they are done again in the environment, so that
every observation is what an agent would have read.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from metaplan.core import DataError, ExpertStep, ExpertTrajectory, Task
from metaplan.environments.alfworld.game import LoadedGame
from metaplan.environments.alfworld.games import find_split, game_path, read_game

__all__ = ["replay", "solve"]

_RECORDING = "gt_traj.json"


def solve(task: Task) -> ExpertTrajectory:
    """A solved trajectory of a task.

    Taken from the recording beside the game (older training games), else from the game's
    walkthrough, else from the walkthrough of the same game in the newer grammar.

    Raises:
        DataError: There is none, or it does not solve the game.
    """
    path = game_path(task)
    game = read_game(path)
    loaded = LoadedGame(game)
    recording = path.with_name(_RECORDING)
    if recording.exists():
        recorded = replay(task, loaded, _recorded_actions(recording), "recorded")
        if recorded.success:
            return recorded
    walkthrough = game.get("walkthrough") or _newer_walkthrough(task)
    if not walkthrough:
        raise DataError(f"{task.key} has no expert: no {_RECORDING} and no walkthrough")
    solved = replay(task, loaded, walkthrough, "walkthrough")
    if not solved.success:
        raise DataError(f"{task.key}: the walkthrough in {path} does not solve the game")
    return solved


def replay(task: Task, loaded: LoadedGame, actions: Sequence[str], source: str) -> ExpertTrajectory:
    """Does actions in a fresh episode, up to the one that solves the game.

    Actions are recorded in the game's own spelling, refused ones are left out.
    """
    environment = loaded.make()
    instruction = environment.reset().text
    steps: list[ExpertStep] = []
    success = False
    for action in actions:
        result = environment.step(action)
        if result.valid:
            command = environment.respell(action)
            steps.append(ExpertStep(action=command, observation=result.observation))
        success = result.success
        if result.terminated:
            break
    environment.close()
    return ExpertTrajectory(
        task=task.model_copy(update={"instruction": instruction}),
        steps=tuple(steps),
        reward=float(success),
        success=success,
        source=source,
    )


def _recorded_actions(path: Path) -> list[str]:
    """The turns ``{"from": "gpt", "value": action}`` of a recording in ETO's format."""
    try:
        turns = json.loads(path.read_text("utf-8"))
        return [str(turn["value"]) for turn in turns if turn["from"] == "gpt"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path} can't be read as a recorded expert: {error!r}") from error


def _newer_walkthrough(task: Task) -> list[str]:
    """The walkthrough of the same game in the newer grammar: the two have the same problem."""
    root = find_split(task.source["split"], "move")
    path = root / task.source["game"] / "game.tw-pddl" if root else None
    return read_game(path).get("walkthrough", []) if path and path.exists() else []
