from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from metaplan.evaluation import bootstrap

unit_values = st.lists(st.floats(0.0, 1.0), min_size=1, max_size=30)


@given(unit_values)
@settings(max_examples=150, deadline=None)
def test_interval_of_a_mean_holds_it_and_stays_inside_the_range_of_the_values(values):
    (interval,) = bootstrap([values], resamples=300)
    assert 0.0 <= interval.low <= interval.value <= interval.high <= 1.0
    assert interval.value == pytest.approx(np.mean(values))


@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=20),
)
@settings(max_examples=100, deadline=None)
def test_a_share_of_steps_stays_a_share_even_where_there_are_no_steps(counts):
    parts = [float(min(pair)) for pair in counts]
    wholes = [float(max(pair)) for pair in counts]
    (interval,) = bootstrap([parts], [wholes], resamples=300)
    assert 0.0 <= interval.low <= interval.value <= interval.high <= 1.0
    assert interval.value == pytest.approx(sum(parts) / sum(wholes) if sum(wholes) else 0.0)


@given(st.floats(0.0, 1.0), st.integers(1, 40))
@settings(deadline=None)
def test_equal_values_give_an_interval_without_width(value, count):
    (interval,) = bootstrap([[value] * count], resamples=100)
    assert interval.low == interval.value == interval.high


@pytest.mark.parametrize("tasks", [12, 134])
def test_agrees_with_scipys_percentile_bootstrap(tasks):
    values = np.random.default_rng(5).beta(0.6, 0.4, size=tasks)
    (ours,) = bootstrap([values])
    scipys = stats.bootstrap(
        (values,), np.mean, method="percentile", n_resamples=10_000, rng=np.random.default_rng(1)
    ).confidence_interval
    width = ours.high - ours.low
    assert ours.low == pytest.approx(scipys.low, abs=0.04 * width)
    assert ours.high == pytest.approx(scipys.high, abs=0.04 * width)


def test_a_ratio_agrees_with_scipys_paired_bootstrap():
    generator = np.random.default_rng(8)
    steps = generator.integers(4, 30, size=60).astype(float)
    errors = generator.binomial(steps.astype(int), 0.2).astype(float)
    (ours,) = bootstrap([errors], [steps])
    scipys = stats.bootstrap(
        (errors, steps),
        lambda e, s, axis: e.mean(axis=axis) / s.mean(axis=axis),
        paired=True,
        vectorized=True,
        method="percentile",
        n_resamples=10_000,
        rng=np.random.default_rng(1),
    ).confidence_interval
    width = ours.high - ours.low
    assert ours.low == pytest.approx(scipys.low, abs=0.04 * width)
    assert ours.high == pytest.approx(scipys.high, abs=0.04 * width)


@pytest.mark.parametrize(("tasks", "chance"), [(40, 0.5), (134, 0.8)])
def test_95_percent_intervals_hold_the_true_mean_about_95_times_in_100(tasks, chance):
    draws = np.random.default_rng(3).binomial(1, chance, size=(400, tasks))
    held = [i.low <= chance <= i.high for i in bootstrap(draws, resamples=2000)]
    assert 0.91 <= np.mean(held) <= 0.985


def test_many_tasks_are_resampled_in_blocks_with_the_right_spread():
    values = np.random.default_rng(0).random(30_000)  # more cells than one block holds
    (interval,) = bootstrap([values], resamples=400)
    expected = 2 * 1.96 * values.std() / np.sqrt(len(values))
    assert interval.high - interval.low == pytest.approx(expected, rel=0.15)


def test_a_statistic_does_not_depend_on_what_is_resampled_beside_it():
    first, second = np.random.default_rng(2).random((2, 25))
    alone, beside = bootstrap([first])[0], bootstrap([first, second])[0]
    assert alone.low == pytest.approx(beside.low, abs=1e-12)
    assert alone.high == pytest.approx(beside.high, abs=1e-12)


def test_no_tasks_is_refused():
    with pytest.raises(ValueError, match="need two"):
        bootstrap([[]])


def test_a_hundred_rows_of_a_paper_sized_test_set_take_under_three_seconds():
    rows = np.random.default_rng(0).random((100, 140))
    started = time.perf_counter()
    for row in rows:
        bootstrap([row])
    assert time.perf_counter() - started < 12.0  # ~2 s alone; the margin is for a busy machine
