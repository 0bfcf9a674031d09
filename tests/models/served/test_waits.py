"""When a request is tried again."""

import itertools
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metaplan.models.served.waits import LONGEST_RETRY_AFTER_S, retry_after_s, wait_s

NOW = 1_700_000_000.0


@given(st.integers(min_value=0, max_value=100))
def test_whole_seconds_are_read(seconds):
    assert retry_after_s({"retry-after": str(seconds)}) == seconds


@given(st.integers(min_value=0, max_value=100))
def test_dates_are_read(seconds):
    date = formatdate(NOW + seconds, usegmt=True)
    assert retry_after_s({"retry-after": date}, NOW) == seconds


@given(st.text() | st.floats().map(str) | st.integers().map(str))
def test_whatever_a_server_says_is_a_bounded_wait_or_nothing(said):
    wait = retry_after_s({"retry-after": said}, NOW)
    assert wait is None or 0.0 <= wait <= LONGEST_RETRY_AFTER_S


@pytest.mark.parametrize("said", ["", "soon", "nan", "Mon, 99 Foo 2023 00:00:00 GMT"])
def test_what_is_no_time_is_nothing(said):
    assert retry_after_s({"retry-after": said}, NOW) is None


def test_past_dates_are_no_wait_and_far_ones_are_cut():
    assert retry_after_s({"retry-after": formatdate(NOW - 60, usegmt=True)}, NOW) == 0.0
    assert retry_after_s({"retry-after": "86400"}, NOW) == LONGEST_RETRY_AFTER_S


def test_milliseconds_come_first():
    assert retry_after_s({"retry-after-ms": "1500", "retry-after": "9"}) == 1.5


@given(st.integers(min_value=1, max_value=500))
def test_a_wait_lies_below_the_bound(attempt):
    assert 0.0 <= wait_s(attempt) <= min(0.5 * 2.0 ** (attempt - 1), 30.0)


def test_bounds_double_and_waits_fill_them():
    longest = [max(wait_s(attempt) for _ in range(400)) for attempt in range(1, 7)]
    for before, after in itertools.pairwise(longest):
        assert after == pytest.approx(2 * before, rel=0.15)
    assert min(wait_s(6) for _ in range(400)) < 1.0
