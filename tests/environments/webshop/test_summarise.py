import pytest

from metaplan.core import DataError, ExpertStep, ExpertTrajectory, Task
from metaplan.environments.webshop.summarise import summarise

INSTRUCTION = (
    "WebShop [SEP] Instruction: [SEP] i need a red tea kettle that is easy to clean, and price "
    "lower than 30.00 dollars [SEP] Search"
)
RESULTS = "Instruction: [SEP] … [SEP] Page 1 (Total results: 50) [SEP] B012345678 [SEP] Kettle"
ITEM = (
    "Instruction: [SEP] … [SEP] < Prev [SEP] color [SEP] red [SEP] blue [SEP] pattern name [SEP] "
    "dots [SEP] Kettle [SEP] Price: $20.0 [SEP] Buy Now"
)
OPEN = [("search[red tea kettle easy to clean]", RESULTS), ("click[B012345678]", ITEM)]
BUY = ("click[Buy Now]", "Thank you for shopping with us!")


def trajectory(*steps):
    task = Task(
        key="webshop/x", benchmark="webshop", task_set="t", task_type="x", instruction=INSTRUCTION
    )
    return ExpertTrajectory(
        task=task,
        steps=tuple(ExpertStep(action=action, observation=seen) for action, seen in steps),
        reward=1.0,
        success=True,
        source="test",
    )


def steps_of(*steps):
    return summarise(trajectory(*steps)).steps


def test_options_are_told_together_before_the_purchase():
    assert steps_of(*OPEN, ("click[dots]", ITEM), ("click[RED]", ITEM), BUY) == (
        "Search for everything that the instruction asks for.",
        "Select the product whose title and price fit the instruction.",
        "Choose the pattern name and the color that the instruction asks for.",
        "Click Buy Now.",
    )


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("kettle", "Search for the kind of product."),
        ("kitchen kettle stainless steel", "Search for the kind of product with its features."),
        ("red tea kettle easy to clean", "Search for everything that the instruction asks for."),
    ],
)
def test_how_much_was_searched_for(query, told):
    assert steps_of((f"search[{query}]", RESULTS), *OPEN[1:], BUY)[0] == told


def test_pages_features_and_a_second_search_are_told_once():
    turned = ("click[Next >]", RESULTS)
    details = ("click[Features]", "Instruction: [SEP] < Prev [SEP] Easy")
    found = steps_of(
        OPEN[0], turned, turned, OPEN[0], OPEN[1], details, ("click[< Prev]", ITEM), BUY
    )
    assert found[1:5] == (
        "Go to the next page of results when nothing fits.",
        "Search again with other words when the product is not found.",
        "Select the product whose title and price fit the instruction.",
        "Check the features for what the title does not say.",
    )


def test_options_of_a_product_that_was_left_are_not_told():
    other = ("click[B012345678]", ITEM.replace("dots", "stripes"))
    found = steps_of(*OPEN, ("click[red]", ITEM), ("click[< Prev]", RESULTS), other, BUY)
    assert not [step for step in found if "Choose" in step]


def test_without_a_purchase_there_is_no_plan():
    with pytest.raises(DataError, match=r"buys nothing.*click\[Buy Now\]"):
        summarise(trajectory(*OPEN))
