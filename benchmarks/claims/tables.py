"""`claims.md`: the findings as a section of a results page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from claims.designs import Measure
from claims.findings import MARGIN, About, BarMet, Difference, Finding, Findings, Mean, Number
from metaplan.core import Placement

__all__ = ["markdown"]

_PER_STEP = {Measure.REWARD_PER_STEP, Measure.REWARD_PER_STEP_20}


def markdown(findings: Findings, plots: Sequence[str] = ()) -> str:
    """The whole section.

    Args:
        findings: What was found.
        plots: Names of image files beside the page; the claim's key begins them.
    """
    about = findings.about
    title = f"## The claims on {about.benchmark}, {about.workload} workload ({about.date})"
    parts = [title, f"`{about.command}`", _preface(about), _summary(findings)]
    for finding in findings.findings:
        parts += _section(finding, [name for name in plots if name.startswith(finding.key)])
    return "\n\n".join(parts) + "\n"


def _preface(about: About) -> str:
    agents = ", ".join(f"{name} is {model}" for name, model in about.agents.items())
    return (
        f"Recipe `{about.recipe}`; agents: {agents}. Success in "
        "%, reward per step in hundredths; 95% intervals over tasks and seeds (`paired.py` says "
        "how). A statement `a > b` is confirmed when the interval of a − b lies above 0, `a ≥ b` "
        f"when it lies above −{100 * MARGIN:g} points (and not below 0); either is reversed when "
        "it lies below 0. A claim is confirmed when all its statements are (C7: when any is), but "
        "for those in *italics*, which are only shown."
    )


def _summary(findings: Findings) -> str:
    rows = [
        [finding.key, finding.claim, finding.source, _said(finding)]
        for finding in findings.findings
    ]
    return _table(["", "claim", "paper", "verdict"], rows)


def _said(finding: Finding) -> str:
    why = f" ({finding.untestable})" if finding.untestable else ""
    return f"**{finding.verdict}**{why}"


def _section(finding: Finding, plots: Sequence[str]) -> Iterator[str]:
    seeds = f"; seeds {', '.join(map(str, finding.seeds))}" if finding.seeds else ""
    yield f"### {finding.key}: {finding.claim}"
    yield f"{_said(finding)}; {finding.source}{seeds}."
    for measure in dict.fromkeys(mean.measure for mean in finding.means):
        yield _means([mean for mean in finding.means if mean.measure is measure], measure)
    if finding.differences:
        yield _differences(finding.differences, finding.seeds)
    for bar in finding.bars:
        yield _bar(bar, finding.seeds)
    yield from (f"![{finding.key}]({name})" for name in plots)


def _means(means: Sequence[Mean], measure: Measure) -> str:
    """Ways down, splits across."""
    splits = list(dict.fromkeys(mean.split for mean in means))
    ways = dict.fromkeys((m.agent, m.method, m.placement) for m in means)
    cells = {(m.agent, m.method, m.placement, m.split): m for m in means}
    head = ["agent", "plans", "placement"]
    rows = []
    for way in ways:
        found = [cells.get((*way, split)) for split in splits]
        rows.append([*_way_cells(*way), *(_mean(mean) if mean else "" for mean in found)])
    return _table([*head, *(f"{split}: {measure}" for split in splits)], rows)


def _way_cells(agent: str, method: str, placement: Placement) -> list[str]:
    return [agent, method, "" if method == "none" else placement.value]


def _mean(mean: Mean) -> str:
    notes = []
    if mean.tasks < mean.planned:
        notes.append(f"{mean.planned - mean.tasks} of {mean.planned} tasks missing")
    if cut := mean.stopped.get("context_limit"):
        notes.append(f"{cut} of {sum(mean.stopped.values())} ran out of context")
    noted = f" ({'; '.join(notes)})" if notes else ""
    return f"{_interval(mean.number, mean.measure)}{noted}"


def _differences(differences: Sequence[Difference], seeds: Sequence[int]) -> str:
    rows = []
    for found in differences:
        of = "" if found.measure is Measure.SUCCESS else f", {found.measure.value}"
        text = f"{found.text}{of}"
        by_seed = [
            _interval(found.by_seed[seed], found.measure, signed=True) if found.by_seed else ""
            for seed in seeds
        ]
        rows.append(
            [
                text if found.decides else f"*{text}*",
                _interval(found.number, found.measure, signed=True),
                found.verdict if found.decides else f"*{found.verdict}*",
                str(found.tasks),
                *by_seed,
            ]
        )
    head = ["statement", "difference", "", "tasks", *(f"seed {seed}" for seed in seeds)]
    return _table(head, rows)


def _bar(bar: BarMet, seeds: Sequence[int]) -> str:
    named = f" ({', '.join(map(str, bar.met))})" if bar.met else ""
    return (
        f"{bar.split}: {bar.a} − {bar.b} ≥ {bar.points:g} points with an interval above 0: in "
        f"{len(bar.met)} of {len(seeds)} seeds{named}; pooled: {'yes' if bar.pooled_met else 'no'}."
    )


def _interval(number: Number, measure: Measure, *, signed: bool = False) -> str:
    """``+12.3 [+4.5, +20.1]``, in hundredths."""
    form = ("{:+" if signed else "{:") + (".2f}" if measure in _PER_STEP else ".1f}")
    value, low, high = (
        form.format(100 * part).replace("-", "−")
        for part in (number.value, number.low, number.high)
    )
    return f"{value} [{low}, {high}]"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; a column in which nothing stands is left out."""
    kept = [at for at in range(len(head)) if any(row[at] for row in rows)]
    lines = [[head[at] for at in kept], ["---"] * len(kept)]
    lines += [[row[at].replace("|", "\\|") for at in kept] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
