"""Verdicts: from intervals to statements, from statements to claims; the tables that show them."""

from datetime import date

import pytest
from claims.designs import Arm, Bar, Contrast, Design, Measure, Rule, Way
from claims.findings import About, Findings, find, judge
from claims.outcomes import Outcome
from claims.tables import markdown

from metaplan import load_recipe
from metaplan.evaluation import Interval

NONE, SFT, MPO = (Way("main", "unseen", method) for method in ("none", "sft", "mpo"))


@pytest.mark.parametrize(
    ("rule", "low", "high", "verdict"),
    [
        (Rule.ABOVE, 0.01, 0.2, "confirmed"),
        (Rule.ABOVE, -0.01, 0.2, "not confirmed"),
        (Rule.ABOVE, 0.0, 0.0, "not confirmed"),
        (Rule.ABOVE, -0.2, -0.01, "reversed"),
        (Rule.NO_WORSE, -0.04, 0.2, "confirmed"),
        (Rule.NO_WORSE, 0.0, 0.0, "confirmed"),
        (Rule.NO_WORSE, -0.06, 0.2, "not confirmed"),
        (Rule.NO_WORSE, -0.04, -0.01, "reversed"),
    ],
)
def test_an_interval_decides_a_statement(rule, low, high, verdict):
    assert judge(rule, Interval((low + high) / 2, low, high)) == verdict


def played(successes: int, of: int = 40, planned: int | None = None) -> Outcome:
    scores = {f"t{at:02}": float(at < successes) for at in range(of)}
    return Outcome(
        scores=dict.fromkeys(Measure, scores),
        planned=planned or of,
        stopped={"solved": successes, "step_limit": of - successes},
    )


OUTCOMES = {
    Arm(NONE, None): played(10),
    Arm(SFT, 0): played(20), Arm(SFT, 1): played(10),
    Arm(MPO, 0): played(30), Arm(MPO, 1): played(34),
}  # fmt: skip


def design(*contrasts: Contrast, **more) -> Design:
    return Design(
        key="C9", claim="x", source="y", ways=(NONE, SFT, MPO), contrasts=contrasts, seeds=(0, 1),
        **more,
    )  # fmt: skip


UP, DOWN = Contrast("up", MPO, NONE), Contrast("down", NONE, MPO)
OPEN = Contrast("open", SFT, NONE)


@pytest.mark.parametrize(
    ("contrasts", "needs", "verdict"),
    [
        ((UP,), "all", "confirmed"),
        ((UP, OPEN), "all", "not confirmed"),
        ((UP, DOWN), "all", "reversed"),
        ((UP, DOWN), "any", "confirmed"),
        ((DOWN, OPEN), "any", "not confirmed"),
        ((DOWN,), "any", "reversed"),
        ((UP, DOWN._replace(decides=False)), "all", "confirmed"),
    ],
)
def test_a_claim_needs_all_of_its_statements_or_any(contrasts, needs, verdict):
    assert find(design(*contrasts, needs=needs), OUTCOMES).verdict == verdict


def test_what_no_task_can_be_played_with_is_left_out():
    outcomes = OUTCOMES | {Arm(SFT, 1): played(0, of=0)}
    found = find(design(UP, OPEN), outcomes)
    assert [d.text for d in found.differences] == ["up"]
    assert {mean.method for mean in found.means} == {"none", "mpo"}
    assert find(design(OPEN), outcomes).verdict == "not tested"


def test_a_claim_that_lacks_an_agent_gets_no_verdict():
    assert find(design(UP, untestable="no agent"), OUTCOMES).verdict == "not tested"


def test_a_bar_is_met_by_seeds_that_reach_its_points_with_an_interval_above_zero():
    bars = (Bar("unseen", "mpo", "none", 55.0), Bar("unseen", "sft", "none", 1.0))
    high, low = find(design(UP, bars=bars), OUTCOMES).bars
    assert (high.met, high.pooled_met) == ((1,), True)
    assert (low.met, low.pooled_met) == ((0,), False)  # seed 1 is at zero, and the pool unsure


def test_means_are_over_seeds_and_say_what_is_missing():
    outcomes = OUTCOMES | {Arm(MPO, 1): played(34, planned=44)}
    mean = find(design(UP), outcomes).means[2]
    assert mean.number.value == pytest.approx(0.8)
    assert mean.by_seed[1].value == pytest.approx(34 / 40)
    assert (mean.tasks, mean.planned, mean.stopped["solved"]) == (40, 44, 64)


def test_the_page_holds_numbers_verdicts_and_seeds_and_no_empty_column():
    finding = find(design(UP, DOWN._replace(decides=False)), OUTCOMES)
    about = About(
        benchmark="household", workload="full", date=date(2026, 11, 21), command="c",
        agents={"main": "m"}, recipe="r", config=load_recipe("household-demo"), versions={},
    )  # fmt: skip
    findings = Findings(about=about, findings=(finding,))
    page = markdown(findings, ["C9-unseen.png"])
    assert "## The claims on household, full workload (2026-11-21)" in page
    row = next(line for line in page.splitlines() if line.startswith("| up "))
    assert row.startswith("| up | +55.0 [+")
    assert row.count("+50.0 [") == 1
    assert row.count("+60.0 [") == 1
    assert "| *down* | −55.0 [−" in page
    assert "| main | none |  | 25.0 [" in page
    assert "![C9](C9-unseen.png)" in page
    assert Findings.model_validate_json(findings.model_dump_json()) == findings
