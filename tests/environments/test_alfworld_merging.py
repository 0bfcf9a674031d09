"""One plan out of several: whose places it names, in what order, and what it leaves as it was."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metaplan.core import MetaPlan, Task
from metaplan.environments import household
from metaplan.environments.alfworld.merging import merge

KINDS = ("bed", "desk", "shelf", "sofa", "safe", "dresser", "drawer", "armchair")


def task(sentence: str = "put a pen in bed", room: tuple[str, ...] = KINDS) -> Task:
    names = ", ".join(f"a {kind} 1" for kind in room[:-1])
    return Task(
        key="alfworld/train/0",
        benchmark="alfworld",
        task_set="train",
        task_type="any",
        instruction=f"You see {names}, and a {room[-1]} 1.\nYour task is to: {sentence}.",
    )


def search(*kinds: str, thing: str = "pen", opened: bool = False) -> tuple[str, ...]:
    opening = (f"Open the {kinds[-1]}.",) if opened else ()
    return (
        *(f"Go to the {k}." for k in kinds),
        *opening,
        f"Take the {thing} from the {kinds[-1]}.",
    )


END = ("Go to the bed.", "Put the pen in/on the bed.")


def merged(*plans: tuple[str, ...], of: Task | None = None) -> tuple[str, ...]:
    found = merge(of or task(), [MetaPlan(steps=steps) for steps in plans])
    assert found is not None
    return found.steps


def test_a_search_goes_where_plans_end_theirs_the_commonest_first_then_where_they_pass():
    plans = [search("sofa"), search("shelf", "desk"), search("desk"), search("safe", opened=True)]
    assert merged(*(plan + END for plan in plans)) == (
        search("desk", "sofa", "safe", "shelf") + END
    )


def test_what_it_ends_at_is_opened_where_a_plan_that_ends_there_opens_it():
    plans = [search("desk"), search("desk"), search("desk", "safe", opened=True)]
    assert merged(*plans) == search("desk", "safe", opened=True)
    assert merged(search("desk"), search("safe", "desk"))[-2:] != ("Open the desk.",)


def test_a_search_has_five_kinds_of_place_at_most_a_lamp_one_and_none_that_is_not_there():
    lamp = [(*search(k), f"Go to the {k}.", "Use the desklamp to look at the pen.") for k in KINDS]
    steps = merged(*lamp)
    assert steps[5] == f"Take the pen from the {KINDS[4]}."
    assert steps[6:] == ("Go to the bed.", "Use the desklamp to look at the pen.")
    assert merged(search("stove"), search("desk")) == search("desk")


def test_two_things_of_a_kind_are_two_searches_the_second_of_two_kinds_of_place():
    first = [search(k, thing="first pen") + END for k in ("desk", "sofa", "desk")]
    second = [search(k, thing="second pen") + END for k in ("shelf", "desk", "safe")]
    plans = [one + two for one, two in zip(first, second, strict=True)]
    assert merged(*plans) == (
        *search("desk", "sofa", thing="first pen"),
        *END,
        *search("shelf", "desk", thing="second pen"),
        *END,
    )


def test_plans_that_do_other_things_than_most_have_no_vote():
    odd = ("Go to the dresser.", "Take the book from the dresser.")
    assert merged(search("desk") + END, odd, search("sofa") + END) == search("desk", "sofa") + END


def test_a_place_that_no_plan_names_stays_unnamed():
    vague = ("Go to where the pen may be located.", "Take the pen from where you found it.")
    assert merged(vague, vague) == vague
    assert merged(vague, search("desk")) == search("desk")


def test_nothing_comes_of_nothing():
    assert merge(task(), []) is None


@given(st.lists(st.lists(st.sampled_from(KINDS), min_size=1, max_size=5, unique=True), min_size=1))
def test_a_merged_plan_names_no_place_twice_and_none_that_no_plan_names(walks):
    plans = [search(*walk) + END for walk in walks]
    *places, last = merged(*plans)[: -len(END)]
    kinds = [step.removeprefix("Go to the ").rstrip(".") for step in places]
    assert len(set(kinds)) == len(kinds) <= 5
    assert set(kinds) <= {kind for walk in walks for kind in walk}
    assert last == f"Take the pen from the {kinds[-1]}."


@pytest.mark.parametrize("index", range(6))
def test_the_deeds_of_seed_plans_stay_what_they_are(index):
    expert = household.BENCHMARK.expert(household.task("train", index))
    plan = household.BENCHMARK.summarise(expert)
    found = household.BENCHMARK.merge(expert.task, [plan, plan])
    told, kept = (
        [step.partition(" from ")[0] for step in steps if not step.startswith(("Go", "Open"))]
        for steps in (found.steps, plan.steps)
    )
    assert told == kept
