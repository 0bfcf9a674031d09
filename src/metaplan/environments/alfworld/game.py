"""One ALFWorld game as a loaded task, and one episode of it as an environment."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal

from metaplan.core import DataError, EnvironmentFault, UserError
from metaplan.environments.alfworld.fast import REFUSED, Episode, engine_for
from metaplan.environments.contract import Observation, StepResult

__all__ = ["Grammar", "LoadedGame", "grammar_of", "respell"]

Grammar = Literal["put", "move"]
"""How a game spells putting: ``put X in/on Y`` (alfworld < 0.4) or ``move X to Y``."""

_ARRIVAL = re.compile(r"^You arrive at loc [^.]*\. ")
_SPACE = re.compile(r"\s+")
_PUT = re.compile(r"(?:put|move) (.+?) (?:in/on|into|onto|in|on|to) (.+)")
_TOGGLE = re.compile(r"toggle (\S+ \d+)\b.*")
_NEEDED = ("pddl_domain", "pddl_problem", "grammar")


class LoadedGame:
    """An ALFWorld game that is ready to be played any number of times.

    Satisfies `metaplan.environments.contract.LoadedTask`. Several episodes may be alive and take
    turns in one thread; the engine below is not thread-safe, so use processes for parallel work.

    Args:
        game_data: The parsed JSON of a `.tw-pddl` file; ``pddl_domain``, ``pddl_problem`` and
            ``grammar`` are used. TextWorld may run code in the grammar: pass only trusted games.

    Raises:
        DataError: A part of the game is missing.
    """

    def __init__(self, game_data: Mapping[str, Any]) -> None:
        missing = [name for name in _NEEDED if not isinstance(game_data.get(name), str)]
        if missing:
            raise DataError(f"not a TextWorld PDDL game: it lacks {', '.join(missing)}")
        self.grammar: Grammar = grammar_of(game_data)
        self._game = engine_for(game_data)

    def make(self) -> GameEnvironment:
        """A fresh environment for one episode.

        Raises:
            EnvironmentFault: The engine can't begin this game.
        """
        try:
            return GameEnvironment(self._game.episode(), self.grammar)
        except UserError:
            raise
        except (Exception, SystemExit) as error:  # Fast Downward exits on PDDL that it can't read
            raise EnvironmentFault(f"the game can't be loaded: {error!r}") from error


class GameEnvironment:
    """One episode of one game (an `Environment`): binary reward, the game's own verdict."""

    def __init__(self, episode: Episode, grammar: Grammar) -> None:
        self._episode = episode
        self._grammar = grammar
        self._state: Literal["new", "running", "closed"] = "new"

    def reset(self) -> Observation:
        """Starts the episode.

        Returns:
            The room and the task on one line each, as the authors' code shows them: without
            TextWorld's banner.

        Raises:
            EnvironmentFault: The engine broke, or the episode has begun.
        """
        self._expect("new")
        self._state = "running"
        try:
            return Observation(_without_banner(self._episode.start()))
        except Exception as error:
            raise EnvironmentFault(f"the game's engine failed to begin: {error}") from error

    def step(self, action: str) -> StepResult:
        """Does one action; see `respell` for the spellings that are understood.

        Raises:
            EnvironmentFault: The engine broke, or the episode is not running.
        """
        self._expect("running")
        try:
            text = self._episode.do(self.respell(action))
        except Exception as error:
            raise EnvironmentFault(f"the game's engine failed on {action!r}: {error}") from error
        won = self._episode.won
        return StepResult(
            observation=_ARRIVAL.sub("", text).strip(),
            reward=float(won),
            terminated=won,
            truncated=False,
            success=won,
            valid=text != REFUSED,
        )

    def respell(self, action: str) -> str:
        """The action in the game's own spelling."""
        return respell(action, self._grammar)

    def admissible_commands(self) -> tuple[str, ...]:
        """The commands that the game accepts now, in its own spelling, sorted."""
        self._expect("running")
        return self._episode.commands()

    def close(self) -> None:
        """Ends the episode. Safe to call twice."""
        if self._state != "closed":
            self._state = "closed"
            self._episode.close()

    def _expect(self, state: str) -> None:
        if self._state != state:
            raise EnvironmentFault(f"the episode is {self._state}, not {state}")


def grammar_of(game_data: Mapping[str, Any]) -> Grammar:
    """Which of ALFWorld's two grammars a game carries."""
    return "move" if '"move {o} to {r}"' in game_data["grammar"] else "put"


def respell(action: str, grammar: Grammar) -> str:
    """Spells an agent's action as the game does.

    Case, spare white space, quotation marks and a final full stop do not matter; ``put X in/on Y``,
    ``put X in Y``, ``put X on Y`` and ``move X to Y`` are one action, as are ``use X`` and the
    ``toggle X Y`` of the paper's action list (Figures 8 and 11), which no game knows.

    Args:
        action: Any text.
        grammar: The game's.

    Returns:
        The command to send to the game.
    """
    command = _SPACE.sub(" ", action).strip(" .`'\"*").lower()
    if put := _PUT.fullmatch(command):
        thing, place = put.groups()
        return f"move {thing} to {place}" if grammar == "move" else f"put {thing} in/on {place}"
    if toggle := _TOGGLE.fullmatch(command):
        return f"use {toggle.group(1)}"
    return command


def _without_banner(text: str) -> str:
    """The paragraphs after the first, a line each (as in ETO's and MPO's code)."""
    paragraphs = [part.strip() for part in text.split("\n\n")]
    return "\n".join(part for part in paragraphs[1:] if part)
