"""All of agent tuning, once; what happens when it is asked for again; and what plays afterwards."""

import json
import shutil
from pathlib import Path

import pytest
import yaml

from metaplan import load_recipe, load_results, run_mpo
from metaplan.core import ConfigError
from metaplan.environments.household.splits import GENERATOR_VERSION
from metaplan.episodes import RunStore, SilentProgress
from metaplan.pipeline import TUNING_STAGES, run_tune
from metaplan.planners import read_jsonl

pytest.importorskip("torch", reason="the extra 'train' is not installed")


class Heard(SilentProgress):
    def __init__(self) -> None:
        self.tracked: list[str] = []

    def track(self, label: str, total: int, done: int = 0):
        self.tracked.append(label)
        return super().track(label, total, done)


@pytest.fixture(scope="module")
def tuned(tmp_path_factory, tuning_recipe) -> Path:
    """A finished run; not to be written to."""
    directory = tmp_path_factory.mktemp("tuned") / "mine"
    run_tune(load_recipe(tuning_recipe), directory)
    return directory


@pytest.fixture
def tuned_copy(tuned, tmp_path) -> Path:
    return Path(shutil.copytree(tuned, tmp_path / "mine"))


def made(directory: Path, agent: str) -> int:
    return (directory / "agents" / agent / "model.safetensors").stat().st_mtime_ns


def test_every_stage_leaves_its_artifacts(tuned):
    for agent in ("base", "sft", "eto"):
        names = {path.name for path in (tuned / "agents" / agent).iterdir()}
        assert {"model.safetensors", "config.json", "tokenizer.json"} <= names
    with RunStore(tuned, read_only=True) as store:
        stages = store.stages()
    assert list(stages) == ["demonstrate", "sft", "failures", "eto", "evaluate", "report"]
    assert set(TUNING_STAGES) <= set(stages)
    assert stages["sft"].result["examples"] == stages["demonstrate"].result["demonstrations"] == 12
    assert stages["eto"].result["examples"] == stages["failures"].result["pairs"] > 0


def test_no_word_of_a_conversation_or_plan_is_unknown_to_the_agent(tuned):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tuned / "agents" / "sft")
    for _, line in read_jsonl(tuned / "datasets" / "agent_sft.jsonl"):
        texts = [message["content"] for message in line["messages"]]
        for text in (*texts, line["seed_plan"]):
            tokens = tokenizer(text, add_special_tokens=False)["input_ids"]
            assert tokenizer.unk_token_id not in tokens
            assert tokenizer.decode(tokens) == text


def test_both_agents_are_measured_without_plans_under_names_that_tell_them_apart(tuned):
    rows = [row for row in load_results(tuned).rows if row.metric == "success"]
    assert {(row.agent, row.method, row.split) for row in rows} == {
        ("mine/sft", "none", "seen"),
        ("mine/eto", "none", "seen"),
    }
    page = (tuned / "report" / "index.html").read_text()
    assert "mine/sft" in page
    assert "rule-based plan follower" not in page


def test_the_card_says_what_a_user_of_the_weights_must_know(tuned, tuning_recipe):
    card = (tuned / "agents" / "eto" / "README.md").read_text()
    head, _, body = card.removeprefix("---\n").partition("\n---\n")
    assert yaml.safe_load(head)["library_name"] == "transformers"
    for said in (
        "# mine/eto", "--set agent.profile=compact", "12 tasks", "demonstrations: 12",
        "template thoughts: 0", "seen (seen)", "torch", f"generator {GENERATOR_VERSION}",
        "none of these tasks was trained on",
    ):  # fmt: skip
        assert said in body
    rows = {line.split(" | ")[0]: line for line in body.splitlines() if line.startswith("| ")}
    assert "| sft" in rows
    assert "| eto" in rows
    recipe = body.partition("```yaml\n")[2].partition("\n```")[0]
    path = tuned.parent / "again.yaml"
    path.write_text(recipe)
    assert load_recipe(path) == load_recipe(tuning_recipe)
    assert "| eto" not in (tuned / "agents" / "sft" / "README.md").read_text()


def test_the_same_run_again_does_nothing_anew(tuned_copy):
    before = {agent: made(tuned_copy, agent) for agent in ("base", "sft", "eto")}
    results = load_results(tuned_copy)
    heard = Heard()
    run_tune(None, tuned_copy, heard)
    assert {agent: made(tuned_copy, agent) for agent in before} == before
    assert load_results(tuned_copy) == results
    assert {label for label in heard.tracked if not label.startswith("training")} == set()


def test_more_people_train_the_agent_anew_on_the_whole(tuned_copy, tuning_recipe):
    heard = Heard()
    run_tune(load_recipe(tuning_recipe, ["tuning.people=2"]), tuned_copy, heard, until="sft")
    training = json.loads((tuned_copy / "agents" / "sft" / "training.json").read_text())
    shown = (tuned_copy / "datasets" / "agent_sft.jsonl").read_text().splitlines()
    assert training["examples"] == len(shown) > 12
    assert "reading train tasks" not in heard.tracked


def test_a_run_stops_after_the_stage_that_was_asked_for(tmp_path, tuning_recipe):
    run_tune(load_recipe(tuning_recipe), tmp_path / "run", until="demonstrate")
    assert (tmp_path / "run" / "datasets" / "agent_sft.jsonl").exists()
    assert not (tmp_path / "run" / "agents").exists()


def test_the_agent_plays_in_an_ordinary_run(tuned, tmp_path, tiny_recipe):
    config = load_recipe(
        tiny_recipe,
        [
            "agent={model: local, profile: compact, max_tokens: 24}",
            f"agent.path={tuned / 'agents' / 'sft'}",
            "evaluate.methods=[none]",
            "tasks.evaluate={seen: {task_set: seen, count: 2}}",
        ],
    )
    run_mpo(config, tmp_path / "run")
    results = load_results(tmp_path / "run")
    assert {row.agent for row in results.rows} == {"mine/sft"}
    theirs = {row.metric: row.mean for row in load_results(tuned).rows if row.agent == "mine/sft"}
    ours = {row.metric: row.mean for row in results.rows}
    assert ours.keys() == theirs.keys()


def test_each_kind_of_recipe_is_carried_out_by_its_own_command(
    tmp_path, tuning_recipe, tiny_recipe
):
    with pytest.raises(ConfigError, match="'metaplan tune' does that"):
        run_mpo(load_recipe(tuning_recipe), tmp_path / "run")
    with pytest.raises(ConfigError, match="no field 'tuning'"):
        run_tune(load_recipe(tiny_recipe), tmp_path / "run")
    assert not (tmp_path / "run").exists()
