"""The fast engine: the same texts, commands and verdicts as TextWorld, at a fraction of the cost.

TextWorld translates a game's PDDL twice, parses its grammar and every query anew, and derives all
admissible commands at every step. This engine reads domain and grammar once per process, keeps
facts as sets, and works out only what the command asks for. It shares nothing between episodes
but what never changes, holds no global state and runs no code from the game.

It is trusted for the texts that it has been compared on (`_COMPARED`: domains and grammars of the
official games, whatever their task). Any other is first played side by side with TextWorld; where
the two differ, or the game uses something that this engine does not know, TextWorld plays, with a
warning.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from metaplan.core import digest
from metaplan.environments.alfworld.conditions import Arguments, World
from metaplan.environments.alfworld.grammar import (
    Binding,
    Entity,
    Grammar,
    Symbols,
    predicates_in,
    shared_part,
)
from metaplan.environments.alfworld.pddl import Action, Domain, Problem, Unsupported
from metaplan.environments.alfworld.stock import StockGame

__all__ = [
    "REFUSED",
    "Episode",
    "FastEpisode",
    "FastGame",
    "Game",
    "engine_for",
    "is_compared",
    "plays_alike",
]

REFUSED = "Nothing happens."
"""What a game answers to a command that it does not accept."""


class Episode(Protocol):
    """What an engine plays: one episode of one game.

    Attributes:
        won: The game's own verdict so far.
    """

    won: bool

    def start(self) -> str:
        """Begins the episode; returns the game's first text."""

    def do(self, command: str) -> str:
        """Does one command, spelt as the game spells it; returns the game's answer."""

    def commands(self) -> tuple[str, ...]:
        """The commands that the game accepts now, sorted."""

    def close(self) -> None:
        """Frees what the episode holds. Safe to call twice."""


class Game(Protocol):
    """A game that is ready to be played."""

    def episode(self) -> Episode:
        """A fresh episode; several may be alive at a time."""


class FastGame:
    """A game that is ready to be played by this engine.

    Args:
        game_data: The parsed JSON of a `.tw-pddl` file.

    Raises:
        Unsupported: The game uses something that only TextWorld understands.
    """

    def __init__(self, game_data: Mapping[str, Any]) -> None:
        self.domain = Domain.parse(game_data["pddl_domain"])
        self.problem = Problem.parse(game_data["pddl_problem"], self.domain)
        self.grammar = Grammar.parse(game_data["grammar"])
        self.entities = _entities(self.problem.world)
        self.intro = self.grammar.rules["intro"][0].symbols
        self._spellings: dict[tuple[str, Arguments], str] = {}
        self._refuse_what_would_differ()

    def episode(self) -> FastEpisode:
        """A fresh episode; several may be alive at a time."""
        return FastEpisode(self)

    def spelling(self, action: Action, arguments: Arguments) -> str:
        """The command for an action; the same in every state, so it is made once."""
        if (action.name, arguments) not in self._spellings:
            self._spellings[action.name, arguments] = self.grammar.render(
                self.grammar.commands[action.name],
                action.bind(arguments),
                self.problem.world,
                self.entities,
            )
        return self._spellings[action.name, arguments]

    def _refuse_what_would_differ(self) -> None:
        for symbols in self.grammar.commands.values():
            if any(predicate in self.domain.changing for predicate, _ in predicates_in(symbols)):
                raise Unsupported("a command whose spelling depends on the state")
        objects = self.problem.world.objects
        for predicate, types in self.grammar.queried:  # TextWorld matches and sorts by type
            for arguments in self.problem.world.true_for(predicate):
                for name, type_name in zip(arguments, types, strict=True):
                    others = (objects[other] for other in objects.keys() - {type_name, "object"})
                    if any(name in members for members in others):
                        raise Unsupported(f"{predicate} of a thing that is no {type_name}")


class FastEpisode:
    """One episode (an `Episode`)."""

    def __init__(self, game: FastGame) -> None:
        self._game = game
        self._world = game.problem.world.copy(game.domain.changing)
        self.won = False

    def start(self) -> str:
        """Begins the episode; returns the game's first text."""
        self._judge()
        return self._text(self._game.intro, {})

    def do(self, command: str) -> str:
        """Does one command, spelt as the game spells it; returns the game's answer."""
        command = command.strip()
        for action, arguments, spelling in self._possible(command):
            if spelling == command:
                action.apply(arguments, self._world)
                self._judge()
                return self._text(self._game.grammar.answers[action.name], action.bind(arguments))
        return REFUSED

    def commands(self) -> tuple[str, ...]:
        """The commands that the game accepts now, sorted."""
        return tuple(sorted({spelling for _, _, spelling in self._possible()}))

    def close(self) -> None:
        """Nothing is held."""

    def _possible(self, command: str | None = None) -> Iterator[tuple[Action, Arguments, str]]:
        """What can be done now and how it is spelt; for a command, only actions that begin so."""
        for name, action in self._game.domain.actions.items():
            template = self._game.grammar.commands[name]
            begin = template[0] if isinstance(template[0], str) else ""
            if command is None or command.startswith(begin):
                for arguments in action.applicable(self._world):
                    yield action, arguments, self._game.spelling(action, arguments)

    def _text(self, symbols: Symbols, binding: Binding) -> str:
        return self._game.grammar.render(symbols, binding, self._world, self._game.entities)

    def _judge(self) -> None:
        self.won = next(self._game.problem.goal.solutions({}, self._world), None) is not None


def _entities(world: World) -> dict[str, Entity]:
    """Every thing in a fact, named as ALFWorld names it: ``cabinet 3``.

    Numbers count down in the order of the ids, and a ``sink`` whose id speaks of a basin is a
    ``sinkbasin`` (`alfworld.agents.utils.misc.Demangler`).
    """
    ids = sorted({name for facts in world.facts.values() for fact in facts for name in fact})
    kinds = {name: _kind(name) for name in ids}
    left = Counter(kind for kind in kinds.values() if kind)
    entities = {}
    for name, kind in kinds.items():
        entities[name] = Entity(id=name, name=f"{kind} {left[kind]}" if kind else f"{name} ")
        left[kind] -= 1
    return entities


def _kind(name: str) -> str:
    """``cabinet`` of ``cabinet_bar__minus_01…``; empty where there is no position."""
    kind, bar, _ = name.partition("_bar_")
    return (kind + "basin" if "basin" in name else kind) if bar else ""


def engine_for(game_data: Mapping[str, Any]) -> Game:
    """The fast engine where it can be trusted with a game, else TextWorld."""
    try:
        game = FastGame(game_data)
        if _is_trusted(game, game_data):
            return game
        reason = "the fast engine's texts differ from TextWorld's"
    except (Unsupported, KeyError, ValueError, IndexError, TypeError) as error:
        reason = f"the fast engine does not understand it ({error})"
    warnings.warn(f"this game is played by TextWorld, slowly: {reason}", stacklevel=3)
    return StockGame(game_data)


# Families of games (domain and grammar, whatever their task), compared over whole games in
# tests/environments/test_alfworld_fast.py.
_COMPARED = {
    "13712b4b6922be19",  # json_2.1.1, "put"
    "e53d12709f3422cf",  # json_2.1.1, three training games with an older domain
    "72f170db9676bd8e",  # json_2.1.3, "move"
    "136b80a658d7b6bd",  # the domain and grammar inside the package alfworld 0.4.2
}
_verdicts: dict[str, bool] = {}


def _is_trusted(game: FastGame, game_data: Mapping[str, Any]) -> bool:
    if is_compared(game_data):
        return True
    family = _family(game_data)
    if family not in _verdicts:
        _verdicts[family] = plays_alike(
            game, StockGame(game_data), game_data.get("walkthrough", ())
        )
    return _verdicts[family]


def is_compared(game_data: Mapping[str, Any]) -> bool:
    """Whether a game is of a family on which this engine has been compared with TextWorld."""
    return _family(game_data) in _COMPARED


def _family(game_data: Mapping[str, Any]) -> str:
    """Names what a game shares with the others of its kind: its domain and grammar."""
    parts = (game_data["pddl_domain"], shared_part(game_data["grammar"]))
    return digest(*(" ".join(part.split()) for part in parts))


def plays_alike(one: Game, other: Game, walkthrough: Sequence[str] = (), steps: int = 20) -> bool:
    """Whether two engines say the same over a walkthrough and some steps of exploring.

    Exploring tries the kind of command that was tried least so far.
    """
    a, b = one.episode(), other.episode()
    tried: Counter[str] = Counter()
    try:
        alike = a.start() == b.start()
        for step in range(len(walkthrough) + steps):
            commands = a.commands()
            if not (alike and a.won == b.won and commands == b.commands()):
                return False
            if step < len(walkthrough):
                command = walkthrough[step]
            else:
                command = min(commands, key=lambda c: (tried[c.split()[0]], tried[c], c))
            tried.update({command: 1, command.split()[0]: 1})
            alike = a.do(command) == b.do(command)
        return alike and a.won == b.won
    finally:
        a.close()
        b.close()
