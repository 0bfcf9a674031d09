"""The claims: what the paper says, what is compared to test it, and what counts as an answer.

A design is data alone. It says which ways of playing are compared; from that follows what has to
be trained and played, and what the tables show.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, NamedTuple

from claims.study import FOLLOWER, MAIN, Study
from claims.worse_plans import WORSE
from metaplan.core import Placement

__all__ = [
    "Arm",
    "Bar",
    "Contrast",
    "Design",
    "Measure",
    "Rule",
    "Way",
    "curve_letters",
    "curve_methods",
    "designs",
]


class Measure(StrEnum):
    """What is measured on an episode; `outcomes.MEASURES` says how."""

    SUCCESS = "success"
    REWARD_PER_STEP = "reward per step"
    SUCCESS_20 = "success within 20 steps"
    REWARD_PER_STEP_20 = "reward per step within 20 steps"


class Way(NamedTuple):
    """A way of playing a split, whatever the training seed.

    Attributes:
        method: ``none``; ``sft``, ``rft`` or ``mpo``; of C6 ``M=3`` or ``N=3``; of C7 ``right`` or
            a name from `WORSE`.
    """

    agent: str
    split: str
    method: str
    placement: Placement = Placement.INSTRUCTION

    @property
    def has_seeds(self) -> bool:
        """Whether a trained planner writes the plans."""
        return self.method not in {"none", "right", *WORSE}


class Arm(NamedTuple):
    """A way of playing with the plans of one training seed; None where nothing was trained."""

    way: Way
    seed: int | None


class Rule(StrEnum):
    """When a contrast `a` − `b` counts as shown.

    ABOVE: confirmed when the interval lies above 0, reversed when it lies below. NO_WORSE: reversed
    when the interval lies below 0, else confirmed when it lies above −`MARGIN`.
    """

    ABOVE = ">"
    NO_WORSE = "≥"


class Contrast(NamedTuple):
    """One comparison, paired over tasks: a statement of a claim, or only shown beside it.

    Attributes:
        decides: Whether the claim's verdict rests on it.
    """

    text: str
    a: Way
    b: Way
    rule: Rule = Rule.ABOVE
    measure: Measure = Measure.SUCCESS
    decides: bool = True


class Bar(NamedTuple):
    """What this project demands of a contrast beyond the paper's claim.

    Attributes:
        points: Least difference, in percentage points of success, the interval above 0.
    """

    split: str
    a: str
    b: str
    points: float


@dataclass(frozen=True, kw_only=True)
class Design:
    """How a claim is tested.

    Attributes:
        key: ``C0`` to ``C7``.
        source: Where the paper says it.
        ways: What the table of means shows.
        seeds: Training seeds that are compared.
        needs: ``all`` deciding contrasts confirmed for the claim to be, or ``any``.
        untestable: Why no verdict can be given, if so.
    """

    key: str
    claim: str
    source: str
    ways: tuple[Way, ...]
    contrasts: tuple[Contrast, ...]
    seeds: tuple[int, ...]
    measures: tuple[Measure, ...] = (Measure.SUCCESS,)
    needs: Literal["all", "any"] = "all"
    bars: tuple[Bar, ...] = ()
    untestable: str = ""

    def arms(self) -> Iterator[Arm]:
        """Everything that is played, each once."""
        ends = (way for contrast in self.contrasts for way in (contrast.a, contrast.b))
        for way in dict.fromkeys((*self.ways, *ends)):
            yield from (Arm(way, seed) for seed in (self.seeds if way.has_seeds else (None,)))


def designs(study: Study) -> dict[str, Design]:
    """All claims, by key, in the order in which they are tested: the dearest last."""
    made = (
        _honest(study), _gain(study), _efficiency(study), _unseen(study), _portable(study),
        _placement(study), _harm(study), _curves(study),
    )  # fmt: skip
    return {design.key: design for design in made}


_METHODS = ("none", "sft", "rft", "mpo")
_BARS = {
    "household": (Bar("unseen", "mpo", "none", 15.0), Bar("unseen", "mpo", "sft", 10.0)),
    "alfworld": (
        Bar("unseen", "mpo", "none", 10.0), Bar("unseen", "mpo", "sft", 3.0),
        Bar("seen", "mpo", "none", 10.0), Bar("seen", "mpo", "sft", 3.0),
    ),
}  # fmt: skip


def _honest(study: Study) -> Design:
    planless = "planless" in study.agents
    agents = (MAIN, "planless") if planless else (MAIN,)
    return Design(
        key="C0",
        claim="The arm without plans is honest: the main agent without a plan is no worse than an "
        "agent of its size that was trained without any plans",
        source="a condition of all that follows",
        ways=tuple(Way(agent, split, "none") for agent in agents for split in study.splits),
        contrasts=tuple(
            Contrast(
                f"{split}: main ≥ planless, both without a plan",
                Way(MAIN, split, "none"),
                Way("planless", split, "none"),
                Rule.NO_WORSE,
            )
            for split in study.splits
            if planless
        ),
        seeds=(),
        untestable="" if planless else "no agent 'planless' was given",
    )


def _above(
    split: str,
    a: str,
    b: str,
    agent: str = MAIN,
    *,
    measure: Measure = Measure.SUCCESS,
    decides: bool = True,
) -> Contrast:
    """Method `a` above method `b`, with the same agent."""
    return Contrast(
        ("" if agent == MAIN else f"{agent}, ") + f"{split}: {a} > {b}",
        Way(agent, split, a),
        Way(agent, split, b),
        measure=measure,
        decides=decides,
    )


def _gain(study: Study) -> Design:
    pairs = (("mpo", "sft"), ("sft", "none"), ("mpo", "none"), ("mpo", "rft"))
    return Design(
        key="C1",
        claim="MPO > SFT > no plan, and MPO > RFT",
        source="Tables 2 and 3",
        ways=_main_ways(study),
        contrasts=(
            *(_above(split, a, b) for split in study.splits for a, b in pairs),
            *(
                _above(split, a, b, measure=Measure.SUCCESS_20, decides=False)
                for split in study.splits
                for a, b in pairs
            ),
        ),
        seeds=study.plan.seeds,
        measures=(Measure.SUCCESS, Measure.SUCCESS_20),
        bars=_BARS.get(study.config.benchmark, ()),
    )


def _main_ways(study: Study) -> tuple[Way, ...]:
    return tuple(Way(MAIN, split, method) for split in study.splits for method in _METHODS)


def _efficiency(study: Study) -> Design:
    pairs = (("mpo", "none"), ("mpo", "sft"))
    return Design(
        key="C2",
        claim="MPO's plans raise the reward per step above that without a plan and with SFT's",
        source="Figure 3",
        ways=_main_ways(study),
        contrasts=tuple(
            _above(split, a, b, measure=Measure.REWARD_PER_STEP)
            for split in study.splits
            for a, b in pairs
        ),
        seeds=study.plan.seeds,
        measures=(Measure.REWARD_PER_STEP, Measure.REWARD_PER_STEP_20),
    )


def _unseen(study: Study) -> Design:
    return Design(
        key="C3",
        claim="The gain holds on unseen tasks",
        source="Table 2 (unseen), section 4.2",
        ways=_main_ways(study),
        contrasts=(
            _above("unseen", "mpo", "none"),
            _above("unseen", "mpo", "sft"),
            *(
                _above(split, "mpo", b, decides=False)
                for split in study.splits
                if split != "unseen"
                for b in ("none", "sft")
            ),
        ),
        seeds=study.plan.seeds,
    )


def _portable(study: Study) -> Design:
    splits, others = study.plan.transfer_splits, study.others
    missing = 3 - len(others)
    return Design(
        key="C4",
        claim="The same plans help agents that they were not optimized with",
        source="section 5.4, Figure 4",
        ways=tuple(
            Way(agent, split, method)
            for split in splits
            for agent in study.agents
            for method in ("none", "sft", "mpo")
        ),
        contrasts=tuple(
            _above(split, "mpo", b, agent, decides=agent != MAIN and b == "none")
            for split in splits
            for agent in study.agents
            for b in ("none", "sft")
        ),
        seeds=study.plan.seeds,
        untestable=f"of three other agents, {missing} not given" if missing > 0 else "",
    )


def _placement(study: Study) -> Design:
    def way(split: str, placement: Placement) -> Way:
        return Way(MAIN, split, "mpo", placement)

    order = (Placement.INSTRUCTION, Placement.OBSERVATION, Placement.THOUGHT)
    return Design(
        key="C5",
        claim="A plan is best placed in the instruction, then in the observations, then in the "
        "thoughts",
        source="Table 4",
        ways=tuple(way(s, p) for s in study.plan.transfer_splits for p in order),
        contrasts=tuple(
            Contrast(f"{split}: {a} {rule} {b}", way(split, a), way(split, b), rule)
            for split in study.plan.transfer_splits
            for a, b, rule in (
                (order[0], order[1], Rule.NO_WORSE),
                (order[1], order[2], Rule.NO_WORSE),
                (order[0], order[2], Rule.ABOVE),
            )
        ),
        seeds=study.plan.seeds,
    )


def curve_letters(study: Study) -> tuple[str, ...]:
    """The counts that C6 has curves over: a greedy agent would play the same N episodes."""
    return ("M", "N") if study.config.explore.temperature_of_agent > 0 else ("M",)


def curve_methods(study: Study) -> dict[tuple[str, int], str]:
    """The method of each point of C6: (``M`` or ``N``, its value) to a name.

    The other count is the recipe's own. At the recipe's own counts it is ``mpo`` itself; with a
    single plan nothing can be preferred, and the planner stays ``sft``.
    """
    explore = study.config.explore
    own = {"M": explore.plans_per_task, "N": explore.episodes_per_plan}
    methods = {}
    for letter in curve_letters(study):
        for count in study.plan.curves.counts:
            named = "mpo" if count == own[letter] else f"{letter}={count}"
            methods[letter, count] = "sft" if (letter, count) == ("M", 1) else named
    return methods


def _curves(study: Study) -> Design:
    methods, counts = curve_methods(study), study.plan.curves.counts
    least, most = min(counts), max(counts)
    letters = curve_letters(study)

    def points(split: str) -> Iterator[Contrast]:
        for letter in letters:
            low, high = (Way(MAIN, split, methods[letter, count]) for count in (least, most))
            usual = Way(MAIN, split, "mpo")
            yield Contrast(f"{split}: the recipe's {letter} > {letter}={least}", usual, low)
            text = f"{split}: it saturates: the recipe's {letter} ≥ {letter}={most}"
            yield Contrast(text, usual, high, Rule.NO_WORSE)
        if "N" in letters:
            m, n = (Way(MAIN, split, methods[letter, least]) for letter in letters)
            text = f"{split}: N matters more: M={least} > N={least}"
            yield Contrast(text, m, n, decides=False)

    splits = study.plan.transfer_splits
    return Design(
        key="C6",
        claim="Few plans (M) or few episodes (N) make a worse planner, and more than the recipe's "
        "add little",
        source="Figure 5",
        ways=tuple(
            Way(MAIN, split, method)
            for split in splits
            for method in dict.fromkeys(methods.values())
        ),
        contrasts=tuple(contrast for split in splits for contrast in points(split)),
        seeds=study.plan.seeds[: study.plan.curves.seeds],
    )


def _harm(study: Study) -> Design:
    return Design(
        key="C7",
        claim="A low-quality plan can do harm: an agent is worse with it than without a plan",
        source="Table 3 (Qwen), section 5.1",
        ways=tuple(
            Way(agent, split, method)
            for split in study.plan.transfer_splits
            for agent in study.agents
            for method in ("none", "right", *WORSE)
        ),
        contrasts=tuple(
            Contrast(
                f"{agent}, {split}: no plan > {kind}",
                Way(agent, split, "none"),
                Way(agent, split, kind),
                decides=study.agents[agent].model != FOLLOWER,
            )
            for split in study.plan.transfer_splits
            for agent in study.agents
            for kind in WORSE
        ),
        seeds=(),
        needs="any",
        untestable=""
        if any(agent.model != FOLLOWER for agent in study.agents.values())
        else "all agents are rule-based followers, which obey by construction",
    )
