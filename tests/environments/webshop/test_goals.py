import json
from dataclasses import replace

import pytest

from metaplan.core import DataError
from metaplan.environments.webshop.goals import (
    NO_CAP,
    Goal,
    human_goals,
    official_order,
    synthetic_goals,
)


def told(text="i need a kettle.", attributes=("easy clean",), options=("red",)):
    return {
        "instruction": text,
        "instruction_attributes": list(attributes),
        "instruction_options": list(options),
    }


def test_a_human_goal_says_its_price_cap(make_product):
    (goal,) = human_goals(make_product(7), [told()])
    assert goal.id == "human-B000000007-0"
    assert goal.instruction == f"i need a kettle, and price lower than {goal.price_cap:.2f} dollars"
    assert goal.price_cap in {40.0, 50.0, 60.0}  # the higher of two of 30, 40, 50, 60
    assert (goal.attributes, goal.options, goal.category) == (("easy clean",), ("red",), "garden")


def test_price_caps_are_the_same_in_every_process_and_differ_between_goals(make_product):
    first, again = (
        [goal.price_cap for goal in human_goals(make_product(7), [told()] * 20)] for _ in range(2)
    )
    assert first == again
    assert len(set(first)) > 1


@pytest.mark.parametrize("price", [980.0, 1500.0])
def test_what_is_dear_has_no_price_cap(make_product, price):
    (goal,) = human_goals(make_product(7, pricing=(price,)), [told()])
    assert (goal.price_cap, goal.instruction) == (NO_CAP, "i need a kettle")


def test_an_instruction_without_attributes_is_no_goal_but_counts(make_product):
    goals = human_goals(make_product(7), [told(attributes=()), told()])
    assert [goal.id for goal in goals] == ["human-B000000007-1"]


def test_a_malformed_instruction_is_named(make_product):
    with pytest.raises(DataError, match=r"instruction 0 of product B000000007.*KeyError"):
        list(human_goals(make_product(7), [{"instruction": "x"}]))


def test_a_synthetic_goal_for_every_combination_of_options(make_product):
    product = make_product(7, options={"size": ("1", "2"), "color": ("red",)})
    entry = {"instruction": "Find me kettles", "instruction_attributes": ["easy clean"]}
    goals = list(synthetic_goals(product, entry))
    assert [goal.id for goal in goals] == ["synthetic-B000000007-0", "synthetic-B000000007-1"]
    assert goals[1].instruction.startswith(
        "Find me kettles with color: red, and size: 2, and price lower than "
    )
    assert goals[1].options == ("red", "2")


@pytest.mark.parametrize("entry", [{}, {"attributes": []}, {"instruction": None}])
def test_without_an_instruction_there_is_no_synthetic_goal(make_product, entry):
    assert not list(synthetic_goals(make_product(), entry))


def test_without_options_there_is_one_synthetic_goal(make_product):
    entry = {"instruction": "Find me kettles", "instruction_attributes": ["easy clean"]}
    (goal,) = synthetic_goals(make_product(options={}), entry)
    assert goal.options == ()


def test_a_goal_survives_json(goal):
    other = replace(goal, price_cap=NO_CAP)
    fields = ("id", "asin", "instruction", "attributes", "options", "price_cap", "category")
    data = {name: getattr(other, name) for name in fields}
    assert Goal.from_data(json.loads(json.dumps(data))) == other


def test_the_official_order_is_that_of_the_published_goals():
    """Places of the first 13 human goals in `human_goals.json` of WebShop's repository."""
    order = official_order(12_087)
    places = [4999, 3621, 4517, 5624, 6682, 9380, 4058, 2543, 1195, 7902, 9122, 10170, 3018]
    assert [order[place] for place in places] == list(range(13))
