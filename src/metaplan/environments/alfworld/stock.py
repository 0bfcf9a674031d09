"""TextWorld's own engine for `.tw-pddl` games: the reference, and the fallback of the fast path.

It translates and parses a game anew at every load and reset (seconds of CPU for one episode), and
keeps global parser state: one thread only. Each episode has its own copy of the planner library,
so episodes do not disturb each other.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from metaplan.core import MissingDependencyError, UserError

__all__ = ["TEXTWORLD_BREAKS_ON", "StockEpisode", "StockGame"]

TEXTWORLD_BREAKS_ON = (3, 13)
"""TextWorld 1.7 evaluates its grammar in a way that this Python no longer allows."""


class StockEpisode:
    """One episode of a game, played by TextWorld itself.

    Attributes:
        won: The game's own verdict so far.
    """

    def __init__(self, game_data: Mapping[str, Any]) -> None:
        self._env = _IDLE.pop() if _IDLE else _new_env()
        with _own_argv():
            self._env.load(dict(game_data))
        self.won = False
        self._state: Any = None

    def start(self) -> str:
        """Begins the episode; returns the game's first text."""
        with _own_argv():
            self._state = self._env.reset()
        self.won = bool(self._state["won"])
        return str(self._state.feedback)

    def do(self, command: str) -> str:
        """Does one command, spelt as the game spells it; returns the game's answer."""
        self._state, _, _ = self._env.step(command)
        self.won = bool(self._state["won"])
        return str(self._state.feedback)

    def commands(self) -> tuple[str, ...]:
        """The commands that the game accepts now, sorted."""
        return tuple(self._state["admissible_commands"])

    def close(self) -> None:
        """Hands TextWorld's objects to a later episode. Safe to call twice."""
        if self._env is not None:
            _IDLE.append(self._env)
            self._env = None


class StockGame:
    """A game whose episodes TextWorld plays.

    Args:
        game_data: The parsed JSON of a `.tw-pddl` file.

    Raises:
        UserError: TextWorld can't play on this Python.
    """

    def __init__(self, game_data: Mapping[str, Any]) -> None:
        if sys.version_info >= TEXTWORLD_BREAKS_ON:
            raise UserError(
                "this game can only be played by TextWorld itself, whose grammar fails on Python "
                "3.13 and newer: use Python 3.11 or 3.12 (games of ALFWorld's own data and of the "
                "household benchmark don't need this)"
            )
        self._game_data = game_data

    def episode(self) -> StockEpisode:
        """A fresh episode; several may be alive at a time."""
        return StockEpisode(self._game_data)


# Every TextWorld environment loads its own 33 MB copy of Fast Downward, which can't be unloaded
# (the process would crash at its end): environments are used again instead.
_IDLE: list[Any] = []


def _new_env() -> Any:
    try:
        import textworld
        from alfworld.agents.environment.alfred_tw_env import AlfredDemangler
        from textworld.envs.pddl import PddlEnv
    except ImportError as error:
        raise MissingDependencyError(error.name or "textworld", "alfworld") from error
    return AlfredDemangler(PddlEnv(textworld.EnvInfos(won=True, admissible_commands=True)))


@contextmanager
def _own_argv() -> Iterator[None]:
    """Undoes what Fast Downward's translator does to `sys.argv`."""
    saved = sys.argv
    try:
        yield
    finally:
        sys.argv = saved
