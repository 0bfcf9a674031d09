"""Exploration: Monte Carlo plan quality, preference pairs, the RFT filter."""

from metaplan.exploration.explore import (
    dpo_dataset,
    explore,
    pairs_of,
    rft_dataset,
    sample,
)
from metaplan.exploration.pairs import best_plans, preference_pairs, read_pairs
from metaplan.exploration.quality import (
    exploration_specs,
    incomplete_plans,
    plan_scores,
    score_of,
)

__all__ = [
    "best_plans",
    "dpo_dataset",
    "exploration_specs",
    "explore",
    "incomplete_plans",
    "pairs_of",
    "plan_scores",
    "preference_pairs",
    "read_pairs",
    "rft_dataset",
    "sample",
    "score_of",
]
