"""Exploring stages of a run: rounds, budgets, interruptions."""

import os
import signal
import sqlite3
import subprocess
import time
from pathlib import Path

import pytest

from metaplan import load_recipe
from metaplan.core import RunError
from metaplan.exploration import explore, sample
from metaplan.runs import Run, estimate_run, read_status


@pytest.fixture
def adaptive_run(run_copy: Path) -> Path:
    """A run that is about to explore adaptively: 6 tasks, up to 3 plans each, 22 episodes."""
    config = run_copy / "config.yaml"
    text = config.read_text("utf-8")
    assert "allocation: uniform" in text
    config.write_text(text.replace("allocation: uniform", "allocation: adaptive"), "utf-8")
    connection = sqlite3.connect(run_copy / "run.db")
    connection.execute("DELETE FROM episodes WHERE purpose = 'explore'")
    connection.execute("DELETE FROM stages WHERE name = 'explore'")
    connection.commit()
    connection.close()
    return run_copy


def exploring(directory: Path, config=None):
    with Run(config, directory) as run:
        return explore(run, sample(run, directory / "planners" / "sft"))


def rewards(directory: Path) -> dict[str, float]:
    connection = sqlite3.connect(f"file:{directory / 'run.db'}?mode=ro", uri=True, timeout=10)
    try:
        rows = connection.execute("SELECT key, reward FROM episodes WHERE purpose = 'explore'")
        return dict(rows.fetchall())
    finally:
        connection.close()


def planned(config, directory: Path) -> tuple[int, int]:
    stages = {stage.name: stage for stage in estimate_run(config, directory).stages}
    return stages["explore"].episodes, stages["explore"].missing


def test_adaptive_exploration_keeps_to_its_budget(adaptive_run: Path):
    config = load_recipe(adaptive_run / "config.yaml")
    assert planned(config, adaptive_run) == (22, 22)
    scores = exploring(adaptive_run)
    played = len(rewards(adaptive_run))
    assert sum(score.count for score in scores) == played <= 22
    assert len({score.count for score in scores}) > 1
    assert planned(config, adaptive_run) == (22, 0)
    status = read_status(adaptive_run)
    assert status.stages["explore"].result["episodes"] == played
    explored = next(summary for summary in status.episodes if summary.purpose == "explore")
    assert explored.missing == 0


def test_a_larger_budget_plays_only_what_it_adds(adaptive_run: Path):
    exploring(adaptive_run)
    before = rewards(adaptive_run)
    more = load_recipe(adaptive_run / "config.yaml", ["explore.budget=2"])
    exploring(adaptive_run, more)
    after = rewards(adaptive_run)
    assert before.items() <= after.items()
    assert len(before) < len(after) <= 72
    less = load_recipe(adaptive_run / "config.yaml", ["explore.budget=0.6"])
    with pytest.raises(RunError, match=r"explore\.budget: 2\.0 → 0\.6"):
        Run(less, adaptive_run)


def test_an_exploration_that_is_killed_again_and_again_decides_as_an_undisturbed_one(
    adaptive_run: Path, metaplan_command
):
    expected_scores = exploring(adaptive_run)
    expected = rewards(adaptive_run)
    connection = sqlite3.connect(adaptive_run / "run.db")
    connection.execute("DELETE FROM episodes WHERE purpose = 'explore'")
    connection.commit()
    connection.close()
    kills = 0
    for wanted in (5, 12, 18):
        process = subprocess.Popen(
            metaplan_command.command("explore", "--out", adaptive_run),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        deadline = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < deadline:
            if len(rewards(adaptive_run)) >= wanted:
                os.killpg(process.pid, signal.SIGKILL)
                kills += 1
                break
            time.sleep(0.005)
        process.wait()
    assert kills
    assert exploring(adaptive_run) == expected_scores
    assert rewards(adaptive_run) == expected


def test_the_agent_may_explore_at_a_temperature_of_its_own(adaptive_run: Path, monkeypatch):
    config = adaptive_run / "config.yaml"
    text = config.read_text("utf-8")
    assert "agent_temperature: null" in text
    config.write_text(text.replace("agent_temperature: null", "agent_temperature: 0.0"), "utf-8")
    temperatures = []
    agent = Run.agent

    def seen(self, temperature, tuned=None):
        temperatures.append(temperature)
        return agent(self, temperature, tuned)

    monkeypatch.setattr(Run, "agent", seen)
    exploring(adaptive_run)
    assert temperatures == [0.0]


def test_exploring_episodes_may_have_fewer_steps_than_evaluation_s(adaptive_run: Path):
    config = adaptive_run / "config.yaml"
    text = config.read_text("utf-8")
    config.write_text(text.replace("  step_limit: null", "  step_limit: 4"), "utf-8")
    exploring(adaptive_run)
    with Run(None, adaptive_run) as run:
        explored = list(run.store.episodes(rewards(adaptive_run)))
        assert run.agent(0.0).step_limit is None
    assert len(explored) >= 10
    assert {len(episode.turns) for episode in explored} <= {1, 2, 3, 4}


def test_a_plan_merged_from_a_task_s_samples_is_played_beside_them(run_copy: Path):
    config = run_copy / "config.yaml"
    config.write_text(config.read_text("utf-8").replace("merged: false", "merged: true"), "utf-8")
    with Run(None, run_copy) as run:
        drawn = sample(run, run_copy / "planners" / "sft")
        scores = explore(run, drawn)
    samples = {key: [one.plan for one in group if one.plan] for key, group in drawn.items()}
    merged = {score.task_key: score.plan for score in scores if score.merged}
    assert set(merged) == {key for key, plans in samples.items() if plans}
    assert any(plan not in samples[key] for key, plan in merged.items())
    recipe = load_recipe(config)
    most = recipe.explore.plans_per_task + 1
    assert planned(recipe, run_copy)[0] <= len(merged) * most * recipe.explore.episodes_per_plan
