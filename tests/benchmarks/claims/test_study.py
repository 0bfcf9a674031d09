"""Studies: what their files say, and what is wrong with them."""

from dataclasses import replace
from pathlib import Path

import pytest
from claims.designs import curve_methods, designs
from claims.study import load_study

from metaplan.core import ConfigError

OWN = Path(__file__).parents[3] / "benchmarks" / "claims"


@pytest.mark.parametrize(("name", "seeds"), [("household", 5), ("alfworld", 3)])
@pytest.mark.parametrize("workload", ["full", "quick"])
def test_the_studies_that_come_with_it_can_be_read(name, seeds, workload, tmp_path: Path):
    study = load_study(OWN / f"{name}.yaml", tmp_path, workload=workload)
    assert len(study.plan.seeds) == (seeds if workload == "full" else 2)
    assert sorted(designs(study)) == [f"C{number}" for number in range(8)]


def test_a_greedy_agent_has_no_curve_over_episodes(tiny_study: Path):
    """It would play the same episode again and again."""
    study = load_study(tiny_study, Path("out"))
    explore = study.config.explore
    greedy = explore.model_copy(update={"agent_temperature": 0.0})
    config = study.config.model_copy(update={"explore": greedy})
    assert {letter for letter, _ in curve_methods(study)} == {"M", "N"}
    assert {letter for letter, _ in curve_methods(replace(study, config=config))} == {"M"}


def test_the_quick_workload_changes_what_it_names_and_keeps_the_rest(tiny_study: Path):
    study = load_study(tiny_study, Path("out"), workload="quick")
    assert (study.config.explore.tasks, study.plan.seeds) == (2, (7,))
    assert study.config.explore.plans_per_task == 3


def test_a_seed_is_that_of_the_whole_pipeline(tiny_study: Path):
    config, directory = load_study(tiny_study, Path("out")).pipeline(4)
    seeds = (config.seed, config.sft.seed, config.dpo.seed, config.planner.scratch.seed)
    assert seeds == (4, 4, 4, 4)
    assert directory == Path("out/seeds/4")


def test_agents_are_the_main_one_the_named_ones_and_the_follower(tiny_study: Path):
    study = load_study(tiny_study, Path("out"), agents={"main": "small", "planless": "other"})
    assert list(study.agents) == ["main", "planless", "follower"]
    assert study.agents["planless"].path == "other"
    assert study.agents["follower"].model == "follower"
    assert study.config.agent == study.agents["main"]
    made = designs(study)
    assert made["C0"].untestable == ""
    assert made["C4"].untestable == "of three other agents, 1 not given"
    deciding = [c.a.agent for c in made["C7"].contrasts if c.decides]
    assert set(deciding) == {"main", "planless"}


def test_a_main_agent_that_is_the_follower_is_not_compared_with_itself(tiny_study: Path):
    assert list(load_study(tiny_study, Path("out")).agents) == ["main"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("seeds: [0, 1]", "seeds: []", "seeds"),
        ("transfer_splits: [unseen]", "transfer_splits: [hidden]", "no split hidden"),
        ("counts: [1, 2, 3]", "counts: [1, 8]", "recipe's own M and N"),
        ("explore.tasks: 2", "explore.task: 2", "explore.task"),
    ],
)
def test_a_wrong_study_is_refused_with_its_file_and_field(tiny_study, tmp_path, old, new, message):
    text = tiny_study.read_text("utf-8")
    assert old in text
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(text.replace(old, new), "utf-8")
    with pytest.raises(ConfigError, match=message) as error:
        load_study(wrong, Path("out"), workload="quick" if "explore" in old else "full")
    assert "wrong.yaml" in str(error.value)
