"""The comparison of planners on real games, with a planner that has learned nothing yet."""

import pytest

from metaplan.evaluation import compare_planners
from metaplan.planners import PlannerPrompt, read_jsonl
from metaplan.recipes import RunConfig
from metaplan.reports import load_results
from metaplan.runs import Run

CONFIG = RunConfig.model_validate(
    {
        "name": "tiny",
        "benchmark": "household",
        "tasks": {
            "train": {"task_set": "train", "count": 1},
            "evaluate": {"seen": {"task_set": "seen", "count": 2}},
        },
        "agent": {"profile": "compact"},
        "planner": {"profile": "compact"},
        "evaluate": {"methods": ["none", "sft"]},
        "runtime": {"workers": 1},
    }
)


@pytest.fixture
def untrained_planner(tmp_path):
    """Weights drawn at random: its completions hold no plan."""
    pytest.importorskip("torch", reason="the extra 'train' is not installed")
    from metaplan.training import ScratchSettings, create_scratch_model

    settings = ScratchSettings(hidden_size=16, layers=1, heads=1, intermediate_size=16, context=512)
    path = create_scratch_model(["put a mug in the fridge"], tmp_path / "planner", settings)
    PlannerPrompt.compact(max_tokens=4).save(path)
    return path


def test_a_task_without_a_readable_plan_is_played_without_one_and_counts(
    tmp_path, untrained_planner
):
    pytest.importorskip("alfworld", reason="the extra 'alfworld' is not installed")
    planners = {"none": None, "sft": untrained_planner, "mpo": tmp_path / "not asked for"}
    with Run(CONFIG, tmp_path / "run") as run:
        comparison = compare_planners(run, planners)
        exported = [line for _, line in read_jsonl(run.datasets / "plans-sft-seen.jsonl")]
        status = run.store.status()
        assert compare_planners(run, planners).results == comparison.results
        assert run.store.status().episodes == status.episodes

    none, sft = comparison.arms
    assert none.episodes == sft.episodes
    assert len(sft.episodes) == sft.planned == 2
    assert (none.placement, sft.placement) == (None, "instruction")
    assert [line["plan"] for line in exported] == [None, None]
    assert status.stages["evaluate"].result == {"episodes": 2, "unreadable_plans": 2}
    assert load_results(tmp_path / "run") == comparison.results
