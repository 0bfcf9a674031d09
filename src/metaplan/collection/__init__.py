"""Collection: expert trajectories → seed plans, quality control, import of one's own."""

from metaplan.collection.collect import collect
from metaplan.collection.imports import read_seed_plans, read_trajectories
from metaplan.collection.seeds import SeedPlan, SeedPlans, collect_seed_plans

__all__ = [
    "SeedPlan",
    "SeedPlans",
    "collect",
    "collect_seed_plans",
    "read_seed_plans",
    "read_trajectories",
]
