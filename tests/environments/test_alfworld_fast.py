"""The fast engine says what TextWorld says: texts, commands and verdicts."""

import random
import sys
import warnings

import pytest

from metaplan.environments.alfworld import TASK_TYPES, LoadedGame, grammar_of, respell
from metaplan.environments.alfworld.fast import (
    FastGame,
    engine_for,
    is_compared,
    plays_alike,
)
from metaplan.environments.alfworld.games import game_path, list_tasks, read_game
from metaplan.environments.alfworld.stock import TEXTWORLD_BREAKS_ON, StockGame

pytestmark = pytest.mark.skipif(
    sys.version_info >= TEXTWORLD_BREAKS_ON, reason="TextWorld itself can't play on this Python"
)
WRONG = ("", "look around", "go to mars 1", "take apple", "put in/on", "use", "open desk 1")


def compare(game_data, walkthrough, *, steps, seed):
    """Plays both engines: the walkthrough, with random and wrong commands in between."""
    rng = random.Random(seed)
    fast, stock = FastGame(game_data).episode(), StockGame(game_data).episode()
    assert fast.start() == stock.start()
    todo = list(walkthrough)
    for _ in range(steps):
        assert fast.commands() == stock.commands()
        assert fast.won == stock.won
        draw = rng.random()
        possible = fast.commands()
        local = [command for command in possible if not command.startswith("go to")]
        if draw < 0.5 and todo:
            command = todo.pop(0)
        elif draw < 0.9:
            command = rng.choice(local if local and rng.random() < 0.7 else possible)
        else:
            command = rng.choice(WRONG)
        assert fast.do(command) == stock.do(command), command
    for command in todo:
        assert fast.do(command) == stock.do(command), command
        assert fast.won == stock.won
    stock.close()


def test_both_engines_say_the_same_in_a_small_game(tiny_game):
    solution = [respell(action, grammar_of(tiny_game)) for action in tiny_game["walkthrough"]]
    compare(tiny_game, solution, steps=60, seed=1)


@pytest.mark.data
@pytest.mark.parametrize("task_type", TASK_TYPES)
def test_both_engines_say_the_same_in_real_games(alfworld_data, task_type):
    """One game of each type, in turn of either grammar; benchmarks/ compares more."""
    task_set = ["valid_seen@put", "valid_unseen@move"][TASK_TYPES.index(task_type) % 2]
    task = next(task for task in list_tasks(task_set) if task.task_type == task_type)
    game = read_game(game_path(task))
    newer = task.model_copy(update={"source": {**task.source, "grammar": "move"}})
    walkthrough = read_game(game_path(newer))["walkthrough"]
    spelt = [respell(action, grammar_of(game)) for action in walkthrough]
    compare(game, spelt, steps=15, seed=7)


@pytest.mark.data
@pytest.mark.parametrize("task_set", ["valid_seen@put", "valid_unseen@put", "valid_unseen@move"])
def test_all_real_games_are_of_a_compared_family(alfworld_data, task_set):
    assert all(is_compared(read_game(game_path(task))) for task in list_tasks(task_set))


def test_a_game_beyond_the_fast_engine_is_played_by_textworld_with_a_warning(tiny_game):
    tiny_game["pddl_problem"] = tiny_game["pddl_problem"].replace(
        "(not (= ?r Drawer_bar_1))", "(forall (?a - agent) (not (holdsAny ?a)))"
    )
    with pytest.warns(UserWarning, match="played by TextWorld, slowly.*forall"):
        loaded = LoadedGame(tiny_game)
    environment = loaded.make()
    environment.reset()
    assert environment.step("go to desk 1").valid
    environment.close()


def test_an_unknown_family_is_compared_with_textworld_before_it_is_trusted(tiny_game):
    tiny_game["grammar"] = tiny_game["grammar"].replace("You open the", "With a creak you open the")
    assert not is_compared(tiny_game)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert isinstance(engine_for(tiny_game), FastGame)


def test_a_different_text_is_noticed(tiny_game):
    other = dict(tiny_game)
    other["grammar"] = tiny_game["grammar"].replace("You are not carrying anything.", "Nothing.")
    assert plays_alike(FastGame(tiny_game), FastGame(tiny_game))
    assert not plays_alike(FastGame(tiny_game), FastGame(other))


@pytest.mark.parametrize(
    "expression", ["().__class__", "o.__class__", "print(o)", "o.name.upper()"]
)
def test_code_in_a_grammar_is_never_run(tiny_game, expression):
    from metaplan.environments.alfworld.pddl import Unsupported

    tiny_game["grammar"] = tiny_game["grammar"].replace(
        "You close the {r.name}.", "You close the {" + expression + "}."
    )
    with pytest.raises(Unsupported):
        FastGame(tiny_game)
