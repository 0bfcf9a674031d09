"""Results arranged for reading: one comparison of methods per benchmark, agent and placement."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from metaplan.core import Placement
from metaplan.evaluation import Difference, ResultRow, Results, method_order, method_pairs

__all__ = ["MethodComparison", "method_comparisons"]


@dataclass(frozen=True)
class MethodComparison:
    """Methods that can be held against each other.

    Attributes:
        splits: In the order of the results.
        methods: As the paper's tables order them.
        rows: Over all training seeds, at this placement or without plan.
        seed_rows: The same, seed by seed, over all task types.
    """

    benchmark: str
    agent: str
    placement: Placement | None
    splits: tuple[str, ...]
    methods: tuple[str, ...]
    rows: tuple[ResultRow, ...]
    seed_rows: tuple[ResultRow, ...]
    differences: tuple[Difference, ...]

    @property
    def name(self) -> str:
        """For headings, when there are several comparisons."""
        placed = f", plan in the {self.placement}" if self.placement else ""
        return f"{self.benchmark}, {self.agent}{placed}"

    def row(self, split: str, method: str, metric: str, task_type: str = "all") -> ResultRow | None:
        """The one mean, or None where it was not measured."""
        wanted = (split, method, metric, task_type)
        return next(
            (r for r in self.rows if (r.split, r.method, r.metric, r.task_type) == wanted), None
        )

    def difference(self, split: str, a: str, b: str, metric: str) -> Difference | None:
        """Method `a` minus method `b`, or None where they share no task."""
        wanted = (split, a, b, metric)
        return next((d for d in self.differences if (d.split, d.a, d.b, d.metric) == wanted), None)

    def task_types(self, split: str) -> list[str]:
        """The task types of a split, sorted."""
        return sorted({r.task_type for r in self.rows if r.split == split} - {"all"})

    def tasks(self, split: str, task_type: str) -> int:
        """How many tasks of a type were measured, at most over the methods."""
        return max(r.n for r in self.rows if (r.split, r.task_type) == (split, task_type))

    @property
    def seeds(self) -> list[tuple[str, str | int]]:
        """Methods with their training seeds, where any method has several."""
        found = list(dict.fromkeys((row.method, row.seed) for row in self.seed_rows))
        return found if len({method for method, _ in found}) < len(found) else []

    def seed_row(self, split: str, method: str, seed: str | int, metric: str) -> ResultRow | None:
        """The one mean of one training seed, or None where it was not measured."""
        wanted = (split, method, seed, metric)
        return next(
            (r for r in self.seed_rows if (r.split, r.method, r.seed, r.metric) == wanted), None
        )

    @property
    def reward_is_success(self) -> bool:
        """Whether the reward is binary, so that one of the two says it all."""
        rewards, successes = (
            [(r.split, r.method, r.task_type, r.mean) for r in self.rows if r.metric == metric]
            for metric in ("reward", "success")
        )
        return rewards == successes

    @property
    def outcomes(self) -> tuple[str, ...]:
        """The outcome metrics worth a column: success, and reward where it says more."""
        return ("success",) if self.reward_is_success else ("success", "reward")

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """Pairs of methods ``(a, b)`` with a difference; those of the last method first."""
        found = {(d.a, d.b) for d in self.differences}
        return [pair for pair in method_pairs(self.methods) if pair in found]

    @property
    def headline(self) -> tuple[str, str] | None:
        """The pair that the experiment is about: MPO against no plan, or the nearest to it."""
        if not self.pairs:
            return None
        best = "mpo" if "mpo" in self.methods else self.methods[-1]
        baseline = "none" if "none" in self.methods else self.methods[0]
        return (best, baseline) if (best, baseline) in self.pairs else self.pairs[0]


def method_comparisons(results: Results) -> list[MethodComparison]:
    """Arranges results; methods without a plan take part in every placement's comparison."""
    found = []
    for benchmark, agent in dict.fromkeys((row.benchmark, row.agent) for row in results.rows):
        inside = [row for row in results.rows if (row.benchmark, row.agent) == (benchmark, agent)]
        placed = dict.fromkeys(row.placement for row in inside if row.placement is not None)
        placements: Sequence[Placement | None] = list(placed) or [None]
        for placement in placements:
            members = [row for row in inside if row.placement in (placement, None)]
            found.append(
                MethodComparison(
                    benchmark=benchmark,
                    agent=agent,
                    placement=placement,
                    splits=tuple(dict.fromkeys(row.split for row in members)),
                    methods=tuple(method_order(row.method for row in members)),
                    rows=tuple(row for row in members if row.seed == "all"),
                    seed_rows=tuple(
                        row for row in members if row.seed != "all" and row.task_type == "all"
                    ),
                    differences=tuple(
                        d
                        for d in results.differences
                        if (d.benchmark, d.agent, d.placement) == (benchmark, agent, placement)
                    ),
                )
            )
    return found
