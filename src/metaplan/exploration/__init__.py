"""Exploration: which episodes to play, Monte Carlo plan quality, preference pairs, RFT's filter.

For agents that are tuned: their failures beside experts' trajectories.
"""

from metaplan.exploration.allocation import Adaptive, Round, Uniform
from metaplan.exploration.explore import (
    dpo_dataset,
    explore,
    pairs_of,
    rft_dataset,
    sample,
)
from metaplan.exploration.failures import eto_dataset
from metaplan.exploration.pairs import best_plans, preference_pairs, read_pairs
from metaplan.exploration.quality import (
    exploration_specs,
    incomplete_plans,
    plan_scores,
    rewards_of,
    score_of,
)

__all__ = [
    "Adaptive",
    "Round",
    "Uniform",
    "best_plans",
    "dpo_dataset",
    "eto_dataset",
    "exploration_specs",
    "explore",
    "incomplete_plans",
    "pairs_of",
    "plan_scores",
    "preference_pairs",
    "read_pairs",
    "rewards_of",
    "rft_dataset",
    "sample",
    "score_of",
]
