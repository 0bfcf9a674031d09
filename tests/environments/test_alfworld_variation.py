"""Rooms of which some places are kept from whoever plays: consistent, and often solvable."""

import re
from random import Random

import pytest

from metaplan.environments import alfworld, household
from metaplan.environments.alfworld.reading import read_names, type_of
from metaplan.environments.alfworld.variation import VariedRoom
from metaplan.environments.household import task

TASKS = [task("train", index) for index in range(24)]


def opened(one, seed=0):
    room = VariedRoom(household.load(one).make(), Random(seed))
    return room, room.reset().text


def listed(text):
    return read_names(text.splitlines()[0])


def test_fewer_places_are_told_of_and_their_numbers_have_no_gaps():
    fewer = 0
    for one in TASKS:
        whole = listed(household.load(one).make().reset().text)
        room, text = opened(one)
        places = listed(text)
        assert set(places) <= set(whole)
        fewer += len(places) < len(whole)
        for kind in {type_of(place) for place in places}:
            numbers = [int(place.split()[1]) for place in places if type_of(place) == kind]
            assert numbers == list(range(len(numbers), 0, -1))
        assert text.splitlines()[1:] == household.load(one).make().reset().text.splitlines()[1:]
        room.close()
    assert fewer >= 20


def test_every_place_that_is_told_of_can_be_gone_to_and_answers_to_its_name():
    for one in TASKS[:6]:
        room, text = opened(one)
        for place in listed(text):
            assert room.step(f"go to {place}").observation.startswith(f"You arrive at {place}.")
            assert place in room.step(f"examine {place}").observation
        room.close()


def test_a_place_that_is_left_out_is_unknown():
    for one in TASKS[:6]:
        room, text = opened(one)
        for place in set(listed(household.load(one).make().reset().text)) - set(listed(text)):
            assert room.step(f"go to {place}").observation == "Nothing happens."
        room.close()


def test_rooms_differ_by_chance_alone():
    texts = {opened(TASKS[0], seed)[1] for seed in range(8)}
    assert len(texts) > 4
    assert opened(TASKS[0], 3)[1] == opened(TASKS[0], 3)[1]


def test_people_solve_varied_tasks_in_the_same_room_or_else_in_the_one_that_there_is():
    varied = 0
    for one in TASKS:
        as_it_is = household.load(one).make().reset().text
        shown = [household.BENCHMARK.demonstrate(one, person, None, True) for person in (0, None)]
        assert all(trajectory.success for trajectory in shown)
        assert len({trajectory.task.instruction for trajectory in shown} - {as_it_is}) <= 1
        for trajectory in shown:
            assert trajectory.task.key == one.key
            places = set(listed(trajectory.task.instruction))
            right = [step for step in trajectory.steps if not step.mistake]
            gone = [re.fullmatch(r"go to (.+)", step.action) for step in right]
            assert {match[1] for match in gone if match} <= places
            varied += trajectory.task.instruction != as_it_is
    assert varied >= 16


@pytest.mark.data
def test_most_real_training_games_can_be_solved_in_a_varied_room():
    games = alfworld.BENCHMARK.tasks("train")[::100]
    varied = 0
    for game in games:
        found = alfworld.BENCHMARK.demonstrate(game, None, None, True)
        assert found.success
        varied += found.task.instruction != alfworld.BENCHMARK.load(game).make().reset().text
    assert varied > len(games) / 2
