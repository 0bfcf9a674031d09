"""What a run would do and cost, before it does it."""

import json
from pathlib import Path

import pytest

from metaplan.core import UserError
from metaplan.environments import get_benchmark
from metaplan.models.served import ServedSettings
from metaplan.recipes import load_recipe
from metaplan.runs import PlannedStage, estimate_run
from metaplan.runs.costs import Sized, Tokens
from metaplan.runs.tasks import chosen_tasks
from metaplan.training import DpoSettings, LoraSettings, SftSettings

STAGES = ["collect", "sft", "sample", "explore", "mpo", "rft", "evaluate"]


@pytest.fixture
def no_data(tmp_path, monkeypatch):
    for name in ("METAPLAN_DATA", "ALFWORLD_DATA"):
        monkeypatch.setenv(name, str(tmp_path / "nothing"))


def stages(recipe, directory, *settings) -> dict[str, PlannedStage]:
    planned = estimate_run(load_recipe(recipe, settings), directory).stages
    return {stage.name: stage for stage in planned}


@pytest.mark.parametrize(
    ("benchmark", "train", "tests"), [("alfworld", 3553, 274), ("scienceworld", 1483, 405)]
)
def test_without_its_data_a_benchmark_is_counted_as_published_and_the_remedy_named(
    benchmark, train, tests, no_data, tmp_path
):
    planned = estimate_run(load_recipe(f"{benchmark}-paper"), tmp_path / "new")
    found = {stage.name: stage for stage in planned.stages}
    assert list(found) == STAGES
    assert found["explore"].episodes == train * 25
    assert found["evaluate"].episodes == tests * 5
    assert found["sft"].tasks == train
    missing = [note for note in planned.notes if "counted as published" in note]
    assert len(missing) == 3
    assert all(f"metaplan data fetch {benchmark}" in note for note in missing)


def test_a_smaller_run_of_absent_data_is_counted_as_asked_for(no_data, tmp_path):
    found = stages("alfworld-paper", tmp_path, "tasks.train.count=20", "explore.tasks=8")
    assert (found["sft"].tasks, found["explore"].episodes) == (20, 200)


def test_task_set_that_does_not_exist_is_refused(no_data, tmp_path):
    with pytest.raises(UserError, match="no task set 'trian@put'"):
        stages("alfworld-paper", tmp_path, "tasks.train.task_set=trian@put")


@pytest.mark.data
@pytest.mark.parametrize("recipe", ["alfworld-paper", "scienceworld-paper"])
def test_published_counts_and_step_limits_are_those_of_the_data(recipe, tmp_path, monkeypatch):
    with_data = stages(recipe, tmp_path)
    monkeypatch.setenv("METAPLAN_DATA", str(tmp_path / "nothing"))
    monkeypatch.setenv("ALFWORLD_DATA", str(tmp_path / "nothing"))
    without = stages(recipe, tmp_path)
    for name in ("explore", "evaluate"):
        assert without[name].episodes == with_data[name].episodes
        assert without[name].turns_each == pytest.approx(with_data[name].turns_each, rel=0.01)


def test_who_computes_decides_who_pays(no_data, tmp_path):
    ours = stages("alfworld-paper", tmp_path)
    assert ours["explore"].effort.gpu_h > 1
    assert ours["explore"].effort.api == Tokens()
    assert ours["collect"].effort.gpu_h == 0
    assert ours["collect"].effort.api.completion > 0
    hosted = stages("alfworld-paper", tmp_path, "agent.served={model: gpt-4o-mini}")
    assert hosted["explore"].effort.gpu_h == 0
    assert hosted["explore"].effort.api == ours["explore"].effort.tokens
    nameless = stages("alfworld-paper", tmp_path, "agent.served.model=my-agent")
    assert nameless["explore"].effort.gpu_h is None
    assert nameless["explore"].effort.tokens == ours["explore"].effort.tokens


def test_prompting_alone_plans_no_training(tmp_path):
    assert list(stages("quick-openai", tmp_path)) == ["evaluate"]


def test_the_training_of_an_agent_is_counted_with_its_demonstrations_and_failures(tmp_path):
    settings = (
        *("tasks.train.count=100", "tuning.people=3", "tuning.people_of={look_at_obj_in_light: 9}"),
        *("tuning.eto={}", "tuning.eto_tasks=40"),
    )
    found = stages("household-agent", tmp_path, *settings)
    assert list(found) == ["demonstrate", "sft", "failures", "eto", "evaluate"]
    config = load_recipe("household-agent", settings)
    tasks = chosen_tasks(get_benchmark("household"), config.tasks.train, config.seed)
    lamps = sum(task.task_type == "look_at_obj_in_light" for task in tasks)
    assert found["sft"].tasks == 3 * (100 - lamps) + 9 * lamps
    assert found["failures"].episodes == 40
    assert found["evaluate"].episodes == 2 * 600  # both agents
    assert found["failures"].effort.cpu_h > 0  # a small model of one's own plays
    llm = stages("household-agent", tmp_path, *settings, "tuning.base=meta-llama/Llama-3.1-8B")
    assert llm["sft"].effort.gpu_h > 0
    assert llm["failures"].effort.gpu_h > 0
    only = stages("household-agent", tmp_path, "tuning.eto=null")
    assert list(only) == ["demonstrate", "sft", "evaluate"]


def test_finished_run_has_nothing_left_to_pay_for(finished_run: Path, tiny_recipe: Path):
    done = stages(tiny_recipe, finished_run)
    assert all(stage.finished for stage in done.values())
    assert {(stage.effort.trained, stage.cpu_h, stage.disk_b) for stage in done.values()} == {
        (0, 0, 0)
    }
    assert stages(tiny_recipe, finished_run, "runtime.workers=2") == done
    more = stages(tiny_recipe, finished_run, "explore.episodes_per_plan=3")
    assert more["explore"].missing > 0
    assert more["mpo"].effort.trained > 0


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("meta-llama/Llama-3.1-8B-Instruct", 8e9),
        ("Qwen2.5-0.5B", 0.5e9),
        ("llama3.1:8b", 8e9),
        ("SmolLM2-135M-Instruct", 135e6),
        ("Mixtral-8x7B-v0.1", None),
        ("gpt-4o-2024-08-06", None),
    ],
)
def test_size_of_a_model_is_read_from_its_name(name, parameters):
    assert Sized.at(name).parameters == parameters
    assert Sized.served(ServedSettings(model=name)).parameters == parameters


def test_size_of_a_local_model_is_that_of_its_files(tmp_path):
    (tmp_path / "model-8B.safetensors").write_bytes(bytes(2000))
    (tmp_path / "config.json").write_text(json.dumps({"dtype": "bfloat16"}))
    assert Sized.at(str(tmp_path)).parameters == 1000
    (tmp_path / "config.json").write_text("{}")
    assert Sized.at(str(tmp_path)).parameters is None


def test_training_costs_are_those_of_the_arithmetic():
    model = Sized(8e9)
    sft = model.train(SftSettings(epochs=3), 1000, 500)
    assert sft.trained == 1_500_000
    assert sft.gpu_h == pytest.approx(8 * 8e9 * 1.5e6 / (312e12 * 0.4) / 3600)
    lora = model.train(SftSettings(lora=LoraSettings()), 1000, 500)
    assert lora.gpu_h == pytest.approx(0.75 * sft.gpu_h)
    # Two texts a pair, and both once more for the reference: (3 · 2 · 8 + 2 · 2) / (3 · 8).
    dpo = model.train(DpoSettings(epochs=3), 1000, 500)
    assert dpo.gpu_h == pytest.approx(sft.gpu_h * 52 / 24)
    assert model.train(SftSettings(max_length=100), 1000, 500).trained == 300_000


def test_cached_prompts_cost_no_gpu_time():
    model = Sized(8e9)
    fresh = model.use(Tokens(prompt=1e6))
    assert model.use(Tokens(prompt=1e7, cached=9e6)).gpu_h == pytest.approx(fresh.gpu_h)
    assert model.use(Tokens(completion=1e6)).gpu_h > fresh.gpu_h


def test_tokens_of_an_episode_are_counted_turn_by_turn(no_data, tmp_path):
    one = stages("alfworld-paper", tmp_path, "tasks.train.count=1", "explore.plans_per_task=1")
    tokens, turns = one["explore"].effort.tokens, one["explore"].turns_each
    assert one["explore"].missing == 5
    # The sum over turns of an opening and what has grown: quadratic in turns, so mostly cached.
    assert tokens.prompt > 5 * turns * 100
    assert 0.9 < tokens.cached / tokens.prompt < 1
    assert tokens.completion == pytest.approx(5 * turns * 27.5, rel=0.01)
