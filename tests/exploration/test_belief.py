from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metaplan.core import MetaPlan
from metaplan.exploration import best_plans, preference_pairs, score_of
from metaplan.exploration.belief import Evidence, believe

PLANS = [MetaPlan(steps=(f"Go to place {letter}.",)) for letter in "abcde"]


def evidence(tasks):
    """From the rewards of each plan of each task."""
    return Evidence.of(
        [[(len(r), sum(r), sum(x * x for x in r)) for r in plans] for plans in tasks]
    )


rewards = st.lists(st.sampled_from([0.0, 0.3, 1.0]), min_size=0, max_size=40)


@settings(deadline=None)
@given(st.lists(st.lists(rewards, min_size=1, max_size=4), min_size=1, max_size=6))
def test_a_belief_is_a_distribution_that_lies_near_much_evidence(tasks):
    belief = believe(evidence(tasks))
    assert np.isfinite(belief.chances).all()
    assert belief.chances.sum(-1) == pytest.approx(1.0)
    for row, plans in enumerate(tasks):
        for column, earned in enumerate(plans):
            if len(earned) >= 30:
                assert belief.mean[row, column] == pytest.approx(np.mean(earned), abs=0.2)


@settings(deadline=None)
@given(
    st.lists(
        st.lists(st.lists(st.booleans(), min_size=3, max_size=3), min_size=2, max_size=5),
        min_size=1,
        max_size=6,
    )
)
def test_where_counts_are_equal_belief_keeps_the_order_of_the_means(tasks):
    mean = believe(evidence([[list(map(float, plan)) for plan in task] for task in tasks])).mean
    for row, task in enumerate(tasks):
        order = sorted(range(len(task)), key=lambda column: sum(task[column]))
        for lower, higher in pairwise(order):
            assert mean[row, lower] <= mean[row, higher] + 1e-9


def test_one_success_is_less_than_nine_in_ten():
    mean = believe(evidence([[[1.0], [1.0] * 9 + [0.0]], [[0.0], [0.0] * 9 + [1.0]]] * 20)).mean
    assert (mean[::2, 0] < mean[::2, 1]).all()
    assert (mean[1::2, 0] > mean[1::2, 1]).all()


def test_other_tasks_say_what_a_first_episode_means():
    """Where plans either always work or never, one success says nearly all."""
    clear = [[[1.0] * 8, [0.0] * 8, [1.0] * 8]] * 40
    alike = [[[1.0, 0.0] * 4] * 3] * 40
    new = [[[1.0], [0.0], [1.0]]]
    assert believe(evidence(clear + new)).mean[-1, 0] > 0.9
    assert believe(evidence(alike + new)).mean[-1, 0] < 0.65


def test_rewards_that_vary_little_count_for_more_trials():
    assert believe(evidence([[[1.0, 0.0, 1.0], [0.0, 1.0]]] * 30)).trials == pytest.approx(1.0)
    assert believe(evidence([[[0.5, 0.6, 0.4], [0.2, 0.3]]] * 30)).trials > 3


def test_plans_of_unequal_counts_are_paired_by_belief_and_hardly_any_gap_is_none():
    scores = [
        score_of("t/1", PLANS[0], [1.0]),
        score_of("t/1", PLANS[1], [1.0] * 19 + [0.0]),
        score_of("t/1", PLANS[2], [0.0] * 10),
        score_of("t/2", PLANS[0], [1.0, 0.0] * 30),
        score_of("t/2", PLANS[1], [0.0, 1.0] * 31),
    ]
    (pair,) = preference_pairs(scores)
    assert (pair.task_key, pair.chosen, pair.rejected) == ("t/1", PLANS[1], PLANS[2])
    assert 0.85 < pair.chosen_score < 1.0
    assert best_plans(scores)[0].plan == PLANS[1]


def test_a_plan_is_believed_alike_whether_read_from_rewards_or_from_its_score():
    earned = [[0.2, 0.4, 0.9], [1.0], [0.0, 0.1]]
    scores = [score_of("t/1", plan, r) for plan, r in zip(PLANS, earned, strict=False)]
    (pair,) = preference_pairs(scores)
    mean = believe(evidence([earned])).mean
    assert pair.chosen_score == pytest.approx(mean.max(), abs=1e-6)
    assert pair.rejected_score == pytest.approx(mean.min(), abs=1e-6)
