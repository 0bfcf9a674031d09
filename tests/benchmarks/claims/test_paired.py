"""Paired differences: what is compared, and what the intervals mean."""

import numpy as np
import pytest
from claims.paired import paired
from hypothesis import given, settings
from hypothesis import strategies as st

from metaplan.evaluation import bootstrap

RATES = st.floats(min_value=-1.0, max_value=1.0, allow_nan=False)
TABLES = st.integers(1, 4).flatmap(
    lambda tasks: st.lists(st.lists(RATES, min_size=tasks, max_size=tasks), min_size=1, max_size=3)
)


def side(table):
    """Rows are seeds, columns are tasks."""
    return {seed: {f"t{at}": x for at, x in enumerate(row)} for seed, row in enumerate(table)}


def test_of_one_seed_the_interval_is_that_over_tasks():
    values = np.random.default_rng(0).random(80)
    found = paired(side([values]))
    (over_tasks,) = bootstrap([values])
    assert found.by_seed[0] == over_tasks
    assert found.pooled.value == pytest.approx(over_tasks.value)
    assert found.pooled.low == pytest.approx(over_tasks.low, abs=0.01)
    assert found.pooled.high == pytest.approx(over_tasks.high, abs=0.01)


def test_seeds_that_disagree_widen_the_interval():
    tasks = np.random.default_rng(0).normal(0.2, 0.3, 100)
    alike = paired(side([tasks, tasks, tasks])).pooled
    apart = paired(side([tasks - 0.2, tasks, tasks + 0.2])).pooled
    assert apart.value == pytest.approx(alike.value)
    assert apart.high - apart.low > 1.5 * (alike.high - alike.low)


def test_what_has_no_seed_is_compared_with_every_seed():
    planned = side([[1.0, 0.0], [1.0, 1.0]])
    found = paired(planned, {None: {"t0": 0.0, "t1": 1.0}})
    assert found.pooled.value == pytest.approx(0.25)
    assert [found.by_seed[seed].value for seed in (0, 1)] == [0.0, 0.5]


def test_tasks_that_one_side_lacks_do_not_count():
    found = paired({0: {"a": 1.0, "b": 0.0}, 1: {"a": 1.0}}, {None: {"a": 0.0, "c": 1.0}})
    assert (found.pooled.value, found.tasks) == (1.0, 1)


def test_sides_without_a_common_task_are_refused():
    with pytest.raises(ValueError, match="no task in common"):
        paired({None: {"a": 1.0}}, {None: {"b": 1.0}})


@settings(max_examples=40, deadline=None)
@given(TABLES)
def test_the_value_is_the_mean_and_lies_in_its_interval(table):
    found = paired(side(table)).pooled
    assert found.value == pytest.approx(np.mean(table))
    assert found.low <= found.value <= found.high


@settings(max_examples=25, deadline=None)
@given(TABLES)
def test_exchanging_the_sides_changes_the_sign_alone(table):
    zero = {None: dict.fromkeys((f"t{at}" for at in range(len(table[0]))), 0.0)}
    there, back = paired(side(table), zero).pooled, paired(zero, side(table)).pooled
    assert back.value == pytest.approx(-there.value)
    assert (back.low, back.high) == pytest.approx((-there.high, -there.low))


def test_about_95_of_100_intervals_hold_the_truth():
    draw, held = np.random.default_rng(3), 0
    for _ in range(60):
        tasks, seeds = draw.normal(0, 0.35, 60), draw.normal(0, 0.03, 5)
        table = 0.1 + tasks + seeds[:, None] + draw.normal(0, 0.4, (5, 60))
        found = paired(side(table)).pooled
        held += found.low <= 0.1 <= found.high
    assert held / 60 >= 0.88
