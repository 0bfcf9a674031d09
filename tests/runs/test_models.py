"""The models that a configuration names: directories, built-in agents, names for tables."""

from pathlib import Path

import pytest

from metaplan.core import ConfigError
from metaplan.recipes.config import AgentConfig
from metaplan.runs import models
from metaplan.runs.models import agent_directory, agent_name, built_in_agents, open_agent_model


@pytest.fixture
def built_in(tmp_path, monkeypatch) -> Path:
    """A package with one built-in agent."""
    (tmp_path / "weights" / "tidy-agent").mkdir(parents=True)
    (tmp_path / "weights" / "tidy-agent" / "config.json").write_text("{}")
    (tmp_path / "weights" / "empty").mkdir()
    monkeypatch.setattr(models, "_weights", lambda: tmp_path / "weights")
    return tmp_path / "weights"


def test_a_built_in_agent_is_known_by_its_name(built_in):
    assert built_in_agents() == ["tidy-agent"]
    assert agent_directory("tidy-agent") == built_in / "tidy-agent"
    assert agent_name(built_in / "tidy-agent") == "tidy-agent"


def test_a_directory_is_taken_as_it_is_and_an_absent_one_refused(built_in, tmp_path):
    assert agent_directory(str(tmp_path)) == tmp_path
    for absent in ("tidy", "empty", "../weights/tidy-agent"):
        with pytest.raises(ConfigError, match=r"there is no .*built-in agent \(tidy-agent\)"):
            agent_directory(absent)


def test_an_agent_of_a_run_is_named_after_the_run():
    assert agent_name(Path("/runs/first/agents/sft")) == "first/sft"
    assert agent_name(Path("/models/my-agent")) == "my-agent"


def test_an_agent_that_is_to_be_tuned_can_not_play_before():
    with pytest.raises(ConfigError, match="no agent has been tuned yet"):
        open_agent_model(AgentConfig(model="tuned"))
