from __future__ import annotations

import pytest

from metaplan.core import Placement
from metaplan.evaluation import Difference, Results
from metaplan.reports.comparison import method_comparisons
from metaplan.reports.wording import duration, headline, interval, value, verdict, visible


def difference(value, low, high, n=40, metric="success"):
    return Difference(
        benchmark="b",
        split="seen",
        agent="a",
        placement=Placement.INSTRUCTION,
        metric=metric,
        a="mpo",
        b="none",
        difference=value,
        ci_low=low,
        ci_high=high,
        n=n,
    )


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (difference(0.2, 0.1, 0.3), "higher"),
        (difference(-0.2, -0.3, -0.1), "lower"),
        (difference(0.2, -0.1, 0.5), "not distinguishable"),
        (difference(0.2, 0.0, 0.5), "not distinguishable"),
        (difference(0.0, 0.0, 0.0), "equal on all 40 tasks"),
        (difference(1.0, 1.0, 1.0, n=3), "the same difference on all 3 tasks"),
        (difference(1.0, 1.0, 1.0, n=1), "one task: no interval"),
    ],
)
def test_the_verdict_says_no_more_than_the_interval_allows(found, words):
    assert verdict(found) == words


def test_the_headline_says_so_when_mpo_and_no_plan_cannot_be_told_apart(results):
    (comparison,) = method_comparisons(results)
    unclear = tuple(
        d.model_copy(update={"ci_low": -0.05, "ci_high": 0.2}) for d in results.differences
    )
    (changed,) = method_comparisons(Results(rows=results.rows, differences=unclear))
    assert "not distinguishable" not in (headline(comparison, "seen") or "")
    sentence = headline(changed, "seen")
    assert sentence is not None
    assert "[\N{MINUS SIGN}5.0, +20.0]" in sentence
    assert "not distinguishable" in sentence


def test_the_headline_carries_the_numbers_of_results_json(results):
    (comparison,) = method_comparisons(results)
    mpo, none = (comparison.row("seen", method, "success") for method in ("mpo", "none"))
    assert mpo is not None
    assert none is not None
    sentence = headline(comparison, "seen")
    assert sentence is not None
    assert f"{100 * mpo.mean:.1f}%" in sentence
    assert f"{100 * none.mean:.1f}:" in sentence


@pytest.mark.parametrize(
    ("metric", "number", "signed", "text"),
    [
        ("success", 0.8134, False, "81.3"),
        ("success", 0.1, True, "+10.0"),
        ("reward", -0.05, True, "\N{MINUS SIGN}5.0"),
        ("reward", -0.0001, True, "0.0"),
        ("reward_per_step", 0.0421, False, "0.042"),
        ("steps", 12.25, False, "12.2"),
    ],
)
def test_numbers_are_printed_in_the_units_of_the_papers_tables(metric, number, signed, text):
    assert value(metric, number, signed=signed) == text


def test_an_interval_without_width_is_a_dash_not_a_certainty(results):
    row = results.rows[0].model_copy(update={"mean": 1.0, "ci_low": 1.0, "ci_high": 1.0})
    assert interval(row) == "\N{EN DASH}"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.21, "0.2 s"), (59.4, "59 s"), (365.0, "6 min 5 s"), (8000.0, "2 h 13 min")],
)
def test_durations_read_as_a_person_says_them(seconds, text):
    assert duration(seconds) == text


def test_control_characters_become_visible_and_lines_stay_lines():
    assert visible("a\x1b[31mb\x00c\nd\te") == "a\u241b[31mb\u2400c\nd\te"
    assert visible("a\x7fb") == "a\u2421b"
