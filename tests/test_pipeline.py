"""All of MPO, once, and what happens when the same run is asked for again or grows."""

import json
import os
from pathlib import Path

import pytest
import yaml

import metaplan
from metaplan import load_recipe, load_results, run_mpo
from metaplan.core import ConfigError
from metaplan.episodes import RunStore, SilentProgress
from metaplan.evaluation import Results
from metaplan.pipeline import STAGES
from metaplan.planners import read_jsonl


class Heard(SilentProgress):
    """Keeps what is said, and the label of all work that was begun."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.tracked: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)

    def track(self, label: str, total: int, done: int = 0):
        self.tracked.append(label)
        return super().track(label, total, done)


def test_every_stage_leaves_its_artifacts(finished_run: Path, tiny_recipe: Path):
    names = {path.name for path in (finished_run / "datasets").iterdir()}
    assert {
        "sft.jsonl", "rft.jsonl", "dpo.jsonl", "trajectories.jsonl", "review.jsonl",
        "plan_scores.jsonl", "plans-mpo-seen.jsonl", "plans-sft-unseen.jsonl",
    } <= names  # fmt: skip
    for method in ("base", "sft", "rft", "mpo"):
        weights = {path.name for path in (finished_run / "planners" / method).rglob("*")}
        assert "model.safetensors" in weights
        assert not [name for name in weights if name.endswith((".bin", ".pt", ".pth", ".pkl"))]
    assert {path.name for path in (finished_run / "report").iterdir()} == {
        "index.html", "results.md", "results.json",
    }  # fmt: skip
    versions = json.loads((finished_run / "versions.json").read_text())
    assert versions["packages"]["torch"]
    assert versions["benchmark"]["train"]["generator"]
    assert load_recipe(finished_run / "config.yaml") == load_recipe(tiny_recipe)


def test_datasets_are_in_the_format_that_trl_reads(finished_run: Path):
    for name, fields in [
        ("sft", ["prompt", "completion"]),
        ("rft", ["prompt", "completion"]),
        ("dpo", ["prompt", "chosen", "rejected"]),
    ]:
        lines = [line for _, line in read_jsonl(finished_run / "datasets" / f"{name}.jsonl")]
        assert lines
        for line in lines:
            for field in fields:
                role = "user" if field == "prompt" else "assistant"
                assert [message["role"] for message in line[field]] == [role]
    for _, line in read_jsonl(finished_run / "datasets" / "dpo.jsonl"):
        assert line["chosen_score"] > line["rejected_score"]


def test_results_cover_every_method_and_split(finished_run: Path):
    text = (finished_run / "report" / "results.json").read_text()
    results = Results.model_validate_json(text)
    assert results == load_results(finished_run)
    rows = {(row.method, row.split) for row in results.rows if row.metric == "reward"}
    assert rows == {(m, s) for m in ("none", "sft", "rft", "mpo") for s in ("seen", "unseen")}
    assert all(one.episodes_measured == one.episodes_planned for one in results.coverage)


def test_the_public_one_liners_use_what_a_run_trained(finished_run: Path):
    planner = metaplan.load_planner(finished_run / "planners" / "sft")
    with RunStore(finished_run, read_only=True) as store:
        task = next(iter(store.tasks("train").values()))
    plan = planner.plan(task)
    messages = [{"role": "user", "content": task.instruction}]
    inserted = metaplan.insert_plan(messages, plan, metaplan.Placement.INSTRUCTION)
    assert plan.text in inserted[0]["content"]


def test_the_same_run_again_does_nothing_anew(run_copy: Path):
    results = load_results(run_copy)
    weights = run_copy / "planners" / "mpo" / "model.safetensors"
    made = weights.stat().st_mtime_ns
    heard = Heard()
    run_mpo(None, run_copy, heard)
    assert load_results(run_copy) == results
    assert weights.stat().st_mtime_ns == made
    assert not [
        label for label in heard.tracked if not label.startswith(("training", "sampling", "mpo"))
        and "plans" not in label
    ]  # fmt: skip


def test_more_episodes_a_plan_redo_only_what_they_change(run_copy: Path, tiny_recipe: Path):
    with RunStore(run_copy, read_only=True) as store:
        before = store.finished_keys()
    dataset = (run_copy / "datasets" / "sft.jsonl").read_bytes()
    made = (run_copy / "planners" / "sft" / "model.safetensors").stat().st_mtime_ns
    heard = Heard()
    run_mpo(load_recipe(tiny_recipe, ["explore.episodes_per_plan=3"]), run_copy, heard)
    with RunStore(run_copy, read_only=True) as store:
        explored = next(s for s in store.status().episodes if s.purpose == "explore")
        assert before <= store.finished_keys()
    plans = sum(1 for _ in read_jsonl(run_copy / "datasets" / "plan_scores.jsonl"))
    assert explored.episodes == 3 * plans
    assert (run_copy / "datasets" / "sft.jsonl").read_bytes() == dataset
    assert (run_copy / "planners" / "sft" / "model.safetensors").stat().st_mtime_ns == made
    assert "reading train tasks" not in heard.tracked
    kept = yaml.safe_load((run_copy / "config.yaml").read_text())
    assert kept["explore"]["episodes_per_plan"] == 3


def test_a_run_can_stop_after_any_stage(tmp_path: Path, tiny_recipe: Path):
    run_mpo(load_recipe(tiny_recipe), tmp_path / "run", until="collect")
    with RunStore(tmp_path / "run", read_only=True) as store:
        assert list(store.stages()) == ["collect"]
    assert STAGES[0] == "collect"


def test_what_a_recipe_names_and_is_not_there_is_said_before_any_work(tmp_path, tiny_recipe):
    for setting, message in [
        ("tasks.evaluate.seen.task_set=nowhere", "no task set 'nowhere'; it has: train"),
        ("tasks.train.count=1000000", "'train': 1000000 tasks are wanted"),
        ("collect.seed_plans=absent.jsonl", "collect.seed_plans: there is no absent.jsonl"),
        ("benchmark=chess", "no benchmark is called 'chess'"),
    ]:
        with pytest.raises(metaplan.core.UserError, match=message):
            run_mpo(load_recipe(tiny_recipe, [setting]), tmp_path / "run")
    with pytest.raises(ConfigError, match=r"explore\.episode_per_plan.*did you mean"):
        load_recipe(tiny_recipe, ["explore.episode_per_plan=3"])
    assert not (tmp_path / "run").exists()


@pytest.mark.data
@pytest.mark.parametrize("grammar", ["put", "move"])
def test_real_games_of_either_grammar_go_through_the_whole_pipeline(
    tmp_path: Path, tiny_recipe: Path, grammar: str
):
    if not os.environ.get("METAPLAN_DATA"):
        pytest.skip("METAPLAN_DATA names no directory with ALFWorld's games")
    config = load_recipe(
        tiny_recipe,
        [
            "benchmark=alfworld",
            f"tasks.train={{task_set: train@{grammar}, count: 8}}",
            f"tasks.evaluate={{seen: {{task_set: valid_seen@{grammar}, count: 2}}, "
            f"unseen: {{task_set: valid_unseen@{grammar}, count: 2}}}}",
            "explore.tasks=2",
            "explore.plans_per_task=2",
            "planner.scratch.context=1024",
            "sft.max_length=1024",
        ],
    )
    run_mpo(config, tmp_path / "run")
    results = load_results(tmp_path / "run")
    assert {row.n for row in results.rows if row.task_type == "all"} == {2}
    versions = json.loads((tmp_path / "run" / "versions.json").read_text())
    assert versions["benchmark"][f"train@{grammar}"]["grammar"] == grammar
