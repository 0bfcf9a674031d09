"""Attempts at seed plans: what is wrong with them, and where each trajectory ends."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metaplan.collection import Attempt, Decision, by_rule, sort_out
from metaplan.core import MetaPlan
from metaplan.environments.alfworld.summarise import summarise

ACTIONS = (
    "go to {receptacle}",
    "take {object} from {receptacle}",
    "put {object} in/on {receptacle}",
)


@pytest.fixture
def trajectories(trajectory):
    """Against the environment's actions, without a deed, unsolved, and two good ones."""
    return [
        trajectory("t/4", "go to desk 1", "heat mug 1 with microwave 1"),
        trajectory("t/3", "look", "go to desk 1"),
        trajectory("t/2", "take mug 1 from desk 1", success=False),
        trajectory("t/5", "go to shelf 1", "take mug 1 from shelf 1"),
        trajectory("t/1", "go to desk 1", "take mug 1 from desk 1"),
    ]


def by_alfworlds_rule(trajectories):
    return {t.task.key: by_rule(summarise, t, ACTIONS) for t in trajectories if t.success}


def test_every_trajectory_is_accounted_for(trajectories):
    seeds = sort_out(trajectories, by_alfworlds_rule(trajectories), {})
    assert [seed.task.key for seed in seeds.accepted] == ["t/1", "t/5"]
    (case,) = seeds.for_review
    assert (case.trajectory.task.key, case.attempts[-1].has("unknown_action")) == ("t/4", True)
    assert (seeds.unsolved, seeds.untold) == (("t/2",), ("t/3",))
    assert seeds.left_out == ()
    assert {seed.by for seed in seeds.accepted} == {"rule"}


def test_a_persons_decision_stands_above_everything(trajectories):
    """A mended plan, one for a task that the expert failed at, and a good one that is unwanted."""
    plan = MetaPlan(steps=("Take the mug.",))
    decisions = {
        "t/4": Decision(plan=plan),
        "t/2": Decision(plan=plan),
        "t/5": Decision(plan=None),
    }
    seeds = sort_out(trajectories, by_alfworlds_rule(trajectories), decisions)
    assert [seed.task.key for seed in seeds.accepted] == ["t/1", "t/2", "t/4"]
    assert seeds.accepted[1].plan == seeds.accepted[2].plan == plan
    assert [seed.by for seed in seeds.accepted] == ["rule", "person", "person"]
    assert seeds.left_out == ("t/5",)
    assert (seeds.for_review, seeds.unsolved) == ((), ())


def test_a_plan_that_was_cut_off_does_not_pass():
    plan = MetaPlan(steps=("Take the mug.",))
    whole = Attempt(by="summary", text=plan.text, plan=plan)
    cut = whole.model_copy(update={"trouble": "cut off"})
    assert whole.passes
    assert not cut.passes
    assert cut.findings == ("cut off",)


PLAN = MetaPlan(steps=("Take the mug.",))
PASSES = Attempt(by="summary", text=PLAN.text, plan=PLAN)
FAILS = Attempt(by="summary", text="", trouble="the model's answer is empty")


@given(
    st.lists(
        st.tuples(
            st.booleans(),
            st.sampled_from([None, Decision(plan=PLAN), Decision(plan=None)]),
            st.lists(st.sampled_from([PASSES, FAILS]), max_size=3),
        )
    )
)
def test_each_trajectory_is_in_exactly_one_field(trajectory, drawn):
    keys = [f"t/{number}" for number in range(len(drawn))]
    seeds = sort_out(
        [
            trajectory(key, "look", success=solved)
            for key, (solved, _, _) in zip(keys, drawn, strict=True)
        ],
        {key: tried for key, (_, _, tried) in zip(keys, drawn, strict=True)},
        {key: choice for key, (_, choice, _) in zip(keys, drawn, strict=True) if choice},
    )
    placed = [*seeds.unsolved, *seeds.untold, *seeds.left_out]
    placed += [seed.task.key for seed in seeds.accepted]
    placed += [case.trajectory.task.key for case in seeds.for_review]
    assert sorted(placed) == sorted(keys)
    for case in seeds.for_review:
        assert case.attempts[-1] is FAILS
