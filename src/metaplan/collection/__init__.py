"""Collection: expert trajectories → seed plans, by rule or by a language model; quality control.

What fails it waits for a person in the run's ``datasets/review.jsonl``. One's own seed plans and
trajectories can be imported. For the tuning of agents: demonstrations, with plans and without.
"""

from metaplan.collection.collect import collect
from metaplan.collection.conversation import conversation_text
from metaplan.collection.demonstrations import agent_dataset, demonstrate
from metaplan.collection.imports import read_seed_plans, read_trajectories
from metaplan.collection.memory import RememberedModel
from metaplan.collection.review import read_decisions, write_review
from metaplan.collection.seeds import (
    Attempt,
    Decision,
    OpenCase,
    SeedPlan,
    SeedPlans,
    by_rule,
    sort_out,
)
from metaplan.collection.summariser import Summariser

__all__ = [
    "Attempt",
    "Decision",
    "OpenCase",
    "RememberedModel",
    "SeedPlan",
    "SeedPlans",
    "Summariser",
    "agent_dataset",
    "by_rule",
    "collect",
    "conversation_text",
    "demonstrate",
    "read_decisions",
    "read_seed_plans",
    "read_trajectories",
    "sort_out",
    "write_review",
]
