import sys
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metaplan.core import DataError, EnvironmentFault
from metaplan.environments import Environment, LoadedTask
from metaplan.environments.alfworld import LoadedGame, grammar_of, respell
from metaplan.environments.alfworld.stock import TEXTWORLD_BREAKS_ON


@pytest.mark.parametrize(
    ("action", "put", "move"),
    [
        ("put mug 1 in/on desk 2", "put mug 1 in/on desk 2", "move mug 1 to desk 2"),
        ("move mug 1 to desk 2", "put mug 1 in/on desk 2", "move mug 1 to desk 2"),
        ("put mug 1 in desk 2", "put mug 1 in/on desk 2", "move mug 1 to desk 2"),
        ("put mug 1 on desk 2", "put mug 1 in/on desk 2", "move mug 1 to desk 2"),
        ("Put  Mug 1 in/on Desk 2.", "put mug 1 in/on desk 2", "move mug 1 to desk 2"),
        ("toggle desklamp 1 sidetable 2", "use desklamp 1", "use desklamp 1"),
        ("Go to desk 1.\n", "go to desk 1", "go to desk 1"),
        ("`look`", "look", "look"),
        ("clean mug 1 with sinkbasin 1", "clean mug 1 with sinkbasin 1", None),
        ("", "", ""),
    ],
)
def test_every_spelling_becomes_the_games_own(action, put, move):
    assert respell(action, "put") == put
    assert respell(action, "move") == (put if move is None else move)


@given(st.text(max_size=80), st.sampled_from(["put", "move"]))
def test_respelling_twice_changes_nothing_more(action, grammar):
    once = respell(action, grammar)
    assert respell(once, grammar) == once


def test_the_first_text_is_scene_and_task_without_banner(tiny_game):
    text = LoadedGame(tiny_game).make().reset().text
    assert text == (
        "You are in the middle of a room. Looking quickly around you, you see a desk 1, "
        "a drawer 2, a drawer 1, and a sinkbasin 1.\nYour task is to: put some pencil in drawer."
    )


def test_a_game_is_solved_with_reward_and_success_in_the_last_step(tiny_game, tiny_solution):
    environment = LoadedGame(tiny_game).make()
    environment.reset()
    results = [environment.step(action) for action in tiny_solution]
    assert [result.reward for result in results] == [0.0, 0.0, 0.0, 1.0]
    assert [result.success for result in results] == [False, False, False, True]
    assert results[-1].terminated
    assert all(result.valid for result in results)


def test_only_the_older_arrival_line_is_stripped(tiny_game):
    environment = LoadedGame(tiny_game).make()
    environment.reset()
    seen = environment.step("go to drawer 2").observation
    rest = "The drawer 2 is closed."
    assert seen == (rest if grammar_of(tiny_game) == "put" else f"You arrive at drawer 2. {rest}")


@pytest.mark.parametrize(
    "action", ["", "fly to mars", "take pencil 2 from desk 1", "help me", "🍎"]
)
def test_a_senseless_action_is_invalid_and_changes_nothing(tiny_game, action):
    environment = LoadedGame(tiny_game).make()
    environment.reset()
    before = environment.admissible_commands()
    result = environment.step(action)
    assert (result.observation, result.valid, result.reward) == ("Nothing happens.", False, 0.0)
    assert environment.admissible_commands() == before


def test_commands_beside_the_action_list_work(tiny_game):
    environment = LoadedGame(tiny_game).make()
    environment.reset()
    environment.step("go to desk 1")
    assert environment.step("inventory").observation == "You are not carrying anything."
    assert environment.step("look").observation.startswith("You are facing the desk 1.")
    assert environment.step("examine desk 1").observation.startswith("On the desk 1, you see")
    assert environment.step("help").observation.startswith("Available commands:")


def test_episodes_of_one_game_do_not_disturb_each_other(tiny_game, tiny_solution):
    loaded = LoadedGame(tiny_game)
    alone = loaded.make()
    expected = [alone.reset().text] + [alone.step(action).observation for action in tiny_solution]
    first, second = loaded.make(), loaded.make()
    texts = [first.reset().text]
    second.reset()
    for action in tiny_solution:
        second.step("go to desk 1")
        second.step("take cup 1 from desk 1")
        texts.append(first.step(action).observation)
    assert texts == expected
    assert second.step("inventory").observation == "You are carrying: a cup 1."


def test_playing_leaves_the_process_as_it_was(tiny_game):
    arguments, threads = list(sys.argv), threading.active_count()
    environment = LoadedGame(tiny_game).make()
    environment.reset()
    environment.step("look")
    environment.close()
    assert sys.argv == arguments
    assert threading.active_count() == threads


def test_an_environment_is_one_episode(tiny_game):
    environment = LoadedGame(tiny_game).make()
    with pytest.raises(EnvironmentFault, match="new, not running"):
        environment.step("look")
    environment.reset()
    with pytest.raises(EnvironmentFault, match="running, not new"):
        environment.reset()
    environment.close()
    environment.close()
    with pytest.raises(EnvironmentFault, match="closed"):
        environment.step("look")


def test_loaded_game_and_environment_keep_the_contract(tiny_game):
    loaded = LoadedGame(tiny_game)
    assert isinstance(loaded, LoadedTask)
    assert isinstance(loaded.make(), Environment)


def test_a_game_without_its_parts_is_refused_by_name(tiny_game):
    del tiny_game["pddl_problem"]
    with pytest.raises(DataError, match="pddl_problem"):
        LoadedGame(tiny_game)


@pytest.mark.skipif(
    sys.version_info >= TEXTWORLD_BREAKS_ON, reason="TextWorld itself can't play on this Python"
)
def test_a_game_that_no_engine_can_read_voids_the_episode(tiny_game):
    tiny_game["pddl_problem"] = "(define (problem"
    with pytest.warns(UserWarning, match="played by TextWorld"):
        loaded = LoadedGame(tiny_game)
    with pytest.raises(EnvironmentFault, match="can't be loaded"):
        loaded.make()
