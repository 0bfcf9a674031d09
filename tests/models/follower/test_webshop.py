import pytest
from hypothesis import given
from hypothesis import strategies as st

from metaplan.core import MetaPlan
from metaplan.models import FollowerSettings, PlanFollower, Sampling
from metaplan.models.follower.reading import read_conversation
from metaplan.models.follower.webshop.reading import read_page, read_plan, read_wanted

SEARCH = (
    "WebShop [SEP] Instruction: [SEP] i need lip balm with shea butter and paraben free, in flavor "
    "mint, size: single, and price lower than 20.00 dollars [SEP] Search"
)
TOP = "Instruction: [SEP] i need … [SEP] Back to Search [SEP] "
RESULTS = (
    f"{TOP}Page 1 (Total results: 50) [SEP] Next > [SEP] M000000001 [SEP] Acme Lip Balm, Seed Oil "
    "[SEP] $25.0 [SEP] M000000002 [SEP] Acme Lip Balm, Bpa Free [SEP] $9.0 [SEP] M000000003 [SEP] "
    "Acme Lip Care, Shea Butter, Paraben Free [SEP] $12.0 to $14.0"
)
ITEM = (
    f"{TOP}< Prev [SEP] flavor [SEP] mint [SEP] honey [SEP] size [SEP] single [SEP] pack of 3 "
    "[SEP] Acme Lip Care, Shea Butter [SEP] Price: $12.0 to $14.0 [SEP] Rating: N.A. [SEP] "
    "Description [SEP] Features [SEP] Reviews [SEP] Buy Now"
)
DETAILS = f"{TOP}< Prev [SEP] Paraben free, for every day. [SEP] Good for cold days."
INTRO = "This meta plan maybe helpful for you to complete the task:"
SURE = FollowerSettings(error_rate=0, format_error_rate=0, forgetfulness=0, skip_rate=0)
GOOD = (
    "Search for everything that the instruction asks for.",
    "Select the product whose title and price fit the instruction.",
    "Check the features for what the title does not say.",
    "Choose the flavor and the size that the instruction asks for.",
    "Click Buy Now.",
)


def conversation(*turns, plan=()):
    shown = f"\n\n{INTRO}\n{MetaPlan(steps=plan).text}" if plan else ""
    messages = [{"role": "user", "content": f"Solve the task.\n{SEARCH}{shown}"}]
    for action, observation in turns:
        messages += [
            {"role": "assistant", "content": f"Thought: So.\nAction: {action}"},
            {"role": "user", "content": f"Observation: {observation}"},
        ]
    return messages


async def action(*turns, plan=(), settings=SURE, **sampling):
    model = PlanFollower(settings)
    (completion,) = await model.complete(conversation(*turns, plan=plan), Sampling(**sampling))
    return completion.text.split("\nAction: ")[1]


FOUND = ("search[x]", RESULTS)
OPENED = ("click[M000000003]", ITEM)


@pytest.mark.parametrize(
    ("step", "query"),
    [
        ("Search for the kind of product.", "lip balm"),
        ("Search for its kind with its features.", "lip balm shea butter paraben free"),
        (
            GOOD[0],
            "i need lip balm with shea butter and paraben free, in flavor mint, size single",
        ),
    ],
)
async def test_it_searches_for_as_much_as_the_plan_says(step, query):
    assert await action(plan=(step,)) == f"search[{query}]"


@pytest.mark.parametrize(
    ("step", "asin"),
    [
        ("Select the first product.", "M000000001"),
        ("Select a product whose price fits.", "M000000002"),
        (GOOD[1], "M000000003"),
    ],
)
async def test_it_judges_products_by_what_the_plan_says(step, asin):
    assert await action(FOUND, plan=(GOOD[0], step)) == f"click[{asin}]"


async def test_it_goes_through_a_whole_plan():
    turns = [FOUND, OPENED]
    for action_, page in (
        ("click[Features]", DETAILS),
        ("click[< Prev]", ITEM),
        ("click[mint]", ITEM),
        ("click[single]", ITEM),
    ):
        assert await action(*turns, plan=GOOD) == action_
        turns.append((action_, page))
    assert await action(*turns, plan=GOOD) == "click[Buy Now]"


async def test_what_lacks_a_feature_is_left_for_the_next_best():
    lacking = ("click[Features]", f"{TOP}< Prev [SEP] Good for cold days.")
    turns = [FOUND, ("click[M000000003]", ITEM), lacking]
    assert (await action(*turns, plan=GOOD)).startswith("search[i need lip balm")
    assert await action(*turns, FOUND, plan=GOOD) == "click[M000000002]"


async def test_it_chooses_only_the_options_that_the_plan_names():
    plan = (GOOD[0], GOOD[1], "Choose the size that the instruction asks for.", GOOD[4])
    assert await action(FOUND, OPENED, plan=plan) == "click[single]"
    assert await action(FOUND, OPENED, ("click[single]", ITEM), plan=plan) == "click[Buy Now]"


async def test_pages_are_turned_only_when_nothing_fits():
    plan = (GOOD[0], "Go to the next page of results when nothing fits.", GOOD[1])
    nothing = ("search[x]", RESULTS.replace("Paraben Free", "Seed Oil"))
    assert await action(nothing, plan=plan) == "click[Next >]"
    assert await action(FOUND, plan=plan) == "click[M000000003]"


async def test_without_a_plan_it_may_forget_an_option():
    forgetful = SURE.model_copy(update={"forgetfulness": 1.0})
    chosen = ("click[mint]", ITEM)
    assert await action(FOUND, OPENED, chosen) == "click[single]"
    assert await action(FOUND, OPENED, chosen, settings=forgetful) == "click[Buy Now]"


async def test_after_a_slip_it_returns_to_the_product_and_chooses_anew():
    slipped = [FOUND, OPENED, ("click[< Prev]", RESULTS)]
    plan = (GOOD[0], GOOD[1], GOOD[4])
    assert await action(*slipped, plan=plan) == "click[M000000003]"
    assert await action(*slipped, OPENED, plan=plan) == "click[Buy Now]"


def test_the_search_page_seen_again_is_no_new_task():
    turns = [FOUND, OPENED, ("click[Back to Search]", SEARCH)]
    read = read_conversation(conversation(*turns, plan=GOOD))
    assert read.world == "webshop"
    assert [action_ for action_, _ in read.turns] == [action_ for action_, _ in turns]
    assert read.plan == MetaPlan(steps=GOOD)


def test_an_instruction_is_understood():
    wanted = read_wanted(SEARCH.split(" [SEP] ")[2])
    assert (wanted.kind, wanted.price_cap) == ("lip balm", 20.0)
    assert wanted.features == ("shea", "butter", "paraben", "free")


@given(st.text(), st.lists(st.text(max_size=60), max_size=4))
def test_any_page_and_any_plan_are_read(text, steps):
    read_page(text)
    read_wanted(text)
    assert len(read_plan(steps)) == len(steps)
