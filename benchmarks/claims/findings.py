"""From outcomes to findings: numbers, statements, a verdict on each claim. `claims.json` is these.

Verdicts follow from intervals by rules that were fixed before: a contrast by `designs.Rule`; a
claim is confirmed when all its deciding contrasts are (C7, "can": when any is), reversed when any
is reversed (C7: when all are), and not confirmed otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any, Literal

from claims.designs import Arm, Bar, Contrast, Design, Measure, Rule, Way
from claims.outcomes import Outcome
from claims.paired import Scores, paired
from metaplan.core import Placement, Record
from metaplan.evaluation import Interval
from metaplan.recipes import RunConfig

__all__ = [
    "MARGIN",
    "About",
    "BarMet",
    "Difference",
    "Finding",
    "Findings",
    "Mean",
    "Number",
    "find",
    "judge",
]

MARGIN = 0.05
"""How much worse still is "no worse" (`Rule.NO_WORSE`): five points of success."""

Verdict = Literal["confirmed", "not confirmed", "reversed", "not tested"]


class Number(Record):
    """A statistic with its 95% interval."""

    value: float
    low: float
    high: float


class Mean(Record):
    """One way of playing.

    Attributes:
        number: Over tasks and seeds.
        tasks: With an episode that counts; `planned` is how many there are.
        stopped: Episodes by stop reason, over seeds.
    """

    agent: str
    split: str
    method: str
    placement: Placement
    measure: Measure
    number: Number
    by_seed: Mapping[int, Number]
    tasks: int
    planned: int
    stopped: Mapping[str, int]


class Difference(Record):
    """One contrast: `a` minus `b`, paired over tasks, pooled over seeds.

    Attributes:
        rule: What the text's sign means: see `designs.Rule`.
        decides: Whether the claim's verdict rests on it.
    """

    text: str
    measure: Measure
    rule: Rule
    decides: bool
    number: Number
    by_seed: Mapping[int, Number]
    tasks: int
    verdict: Verdict


class BarMet(Record):
    """Which seeds pass what this project demands.

    Attributes:
        points: Least difference in percentage points, the seed's interval above 0.
        met: The seeds that pass.
        pooled_met: Whether the pooled difference does.
    """

    split: str
    a: str
    b: str
    points: float
    met: tuple[int, ...]
    pooled_met: bool


class Finding(Record):
    """A claim, tested."""

    key: str
    claim: str
    source: str
    verdict: Verdict
    untestable: str
    seeds: tuple[int, ...]
    means: tuple[Mean, ...]
    differences: tuple[Difference, ...]
    bars: tuple[BarMet, ...]


class About(Record):
    """What the findings rest on.

    Attributes:
        date: Of the newest finding.
        command: That gave it.
        agents: Name to model.
        recipe: A name.
        config: The recipe as it was used, of no seed.
        versions: Packages, platform, generated games.
    """

    benchmark: str
    workload: str
    date: date
    command: str
    agents: Mapping[str, str]
    recipe: str
    config: RunConfig
    versions: Mapping[str, Any]


class Findings(Record):
    """`claims.json`."""

    schema_name: Literal["metaplan-claims/1"] = "metaplan-claims/1"
    about: About
    findings: tuple[Finding, ...]


def find(design: Design, outcomes: Mapping[Arm, Outcome]) -> Finding:
    """Tests a claim.

    A way of playing without any task (no test task can have a fault of C7) is left out, with what
    it would be compared with.

    Args:
        design: What is compared.
        outcomes: Of all its arms.
    """

    def has_tasks(way: Way) -> bool:
        return all(outcome.measured for _, outcome in _played(way, design, outcomes))

    differences = tuple(
        _difference(contrast, design, outcomes)
        for contrast in design.contrasts
        if has_tasks(contrast.a) and has_tasks(contrast.b)
    )
    deciding = [d.verdict for d in differences if d.decides]
    return Finding(
        key=design.key,
        claim=design.claim,
        source=design.source,
        verdict="not tested" if design.untestable else _verdict(deciding, design.needs),
        untestable=design.untestable,
        seeds=design.seeds,
        means=tuple(
            _mean(way, measure, design, outcomes)
            for measure in design.measures
            for way in design.ways
            if has_tasks(way)
        ),
        differences=differences,
        bars=tuple(_bar(bar, design, outcomes) for bar in design.bars),
    )


def _verdict(deciding: list[Verdict], needs: Literal["all", "any"]) -> Verdict:
    if not deciding:
        return "not tested"
    enough, turned = (all, any) if needs == "all" else (any, all)
    if turned(verdict == "reversed" for verdict in deciding):
        return "reversed"
    if enough(verdict == "confirmed" for verdict in deciding):
        return "confirmed"
    return "not confirmed"


def _difference(contrast: Contrast, design: Design, outcomes: Mapping[Arm, Outcome]) -> Difference:
    a, b = (_scores(way, contrast.measure, design, outcomes) for way in (contrast.a, contrast.b))
    found = paired(a, b)
    return Difference(
        text=contrast.text,
        measure=contrast.measure,
        rule=contrast.rule,
        decides=contrast.decides,
        number=_number(found.pooled),
        by_seed={seed: _number(interval) for seed, interval in found.by_seed.items()},
        tasks=found.tasks,
        verdict=judge(contrast.rule, found.pooled),
    )


def judge(rule: Rule, interval: Interval) -> Verdict:
    """What an interval says about a contrast."""
    if interval.high < 0.0:
        return "reversed"
    if interval.low > 0.0 or (rule is Rule.NO_WORSE and interval.low >= -MARGIN):
        return "confirmed"
    return "not confirmed"


def _mean(way: Way, measure: Measure, design: Design, outcomes: Mapping[Arm, Outcome]) -> Mean:
    found = paired(_scores(way, measure, design, outcomes))
    played = [outcome for _, outcome in _played(way, design, outcomes)]
    reasons = sorted({reason for outcome in played for reason in outcome.stopped})
    return Mean(
        **way._asdict(),
        measure=measure,
        number=_number(found.pooled),
        by_seed={seed: _number(interval) for seed, interval in found.by_seed.items()},
        tasks=min(outcome.measured for outcome in played),
        planned=max(outcome.planned for outcome in played),
        stopped={reason: sum(o.stopped.get(reason, 0) for o in played) for reason in reasons},
    )


def _bar(bar: Bar, design: Design, outcomes: Mapping[Arm, Outcome]) -> BarMet:
    ways = [next(w for w in design.ways if (w.split, w.method) == (bar.split, m)) for m in bar[1:3]]
    a, b = (_scores(way, Measure.SUCCESS, design, outcomes) for way in ways)
    found = paired(a, b)

    def passes(interval: Interval) -> bool:
        return interval.value >= bar.points / 100.0 - 1e-9 and interval.low > 0.0

    met = tuple(seed for seed, interval in found.by_seed.items() if passes(interval))
    return BarMet(**bar._asdict(), met=met, pooled_met=passes(found.pooled))


def _scores(way: Way, measure: Measure, design: Design, outcomes: Mapping[Arm, Outcome]) -> Scores:
    return {seed: found.scores[measure] for seed, found in _played(way, design, outcomes)}


def _played(
    way: Way, design: Design, outcomes: Mapping[Arm, Outcome]
) -> list[tuple[int | None, Outcome]]:
    seeds = design.seeds if way.has_seeds else (None,)
    return [(seed, outcomes[Arm(way, seed)]) for seed in seeds]


def _number(interval: Interval) -> Number:
    return Number(value=interval.value, low=interval.low, high=interval.high)
