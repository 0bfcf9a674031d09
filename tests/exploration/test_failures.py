"""ETO's pairs: an expert's trajectory and the agent's own failure, from the same first message."""

import pytest

from metaplan import load_recipe
from metaplan.collection import agent_dataset, demonstrate
from metaplan.episodes import RunStore
from metaplan.exploration import eto_dataset
from metaplan.planners import read_jsonl
from metaplan.runs import Run
from metaplan.runs.trainings import agent_texts, scratch_base

pytest.importorskip("torch", reason="the extra 'train' is not installed")


@pytest.fixture(scope="module")
def paired(tuning_recipe, tmp_path_factory):
    """The lines of a run's pairs, those of its demonstrations, and the run's directory."""
    directory = tmp_path_factory.mktemp("eto") / "run"
    config = load_recipe(tuning_recipe, ["tuning.plans={none: 1, own: 1, other: 0}"])
    with Run(config, directory) as run:
        shown = demonstrate(run)
        dataset = agent_dataset(run, shown)
        settings = run.tuning.scratch
        texts = agent_texts(dataset, config.agent.dialect)
        agent = scratch_base(texts, directory / "agents" / "untrained", settings)
        pairs = eto_dataset(run, agent, shown)
        again = pairs.read_bytes()
        assert eto_dataset(run, agent, shown).read_bytes() == again
    return (
        [line for _, line in read_jsonl(pairs)],
        [line for _, line in read_jsonl(dataset)],
        directory,
    )


def test_each_pair_is_expert_against_failure_after_the_same_message(paired):
    pairs, shown, _ = paired
    conversations = {line["task_key"]: line["messages"] for line in shown}
    assert 1 <= len(pairs) <= 3  # tuning.eto_tasks
    for pair in pairs:
        expert = conversations[pair["task_key"]]
        assert pair["prompt"] + pair["chosen"] == expert
        assert pair["rejected"] != pair["chosen"]
        for side in ("chosen", "rejected"):
            roles = [message["role"] for message in pair[side]]
            assert roles == (["assistant", "user"] * len(roles))[: len(roles)]
            assert roles[-1] == "assistant"
        assert pair["chosen_score"] > pair["rejected_score"]


def test_failures_are_episodes_of_the_run_with_the_plan_that_was_shown(paired):
    pairs, _, directory = paired
    with RunStore(directory, read_only=True) as store:
        (summary,) = store.status().episodes
        assert (summary.purpose, summary.episodes, summary.missing) == ("failures", 3, 0)
        played = {e.task_key: e for e in store.episodes(store.finished_keys())}
    for pair in pairs:
        episode = played[pair["task_key"]]
        assert episode.plan_key == pair["plan_key"]
        replies = [m["content"] for m in pair["rejected"] if m["role"] == "assistant"]
        assert replies == [turn.reply for turn in episode.turns]


def test_an_agent_that_does_as_well_as_the_expert_leaves_nothing_to_prefer(
    paired, tuning_recipe, tmp_path
):
    _, _, directory = paired
    with Run(None, directory) as run:
        modest = [
            one.model_copy(update={"trajectory": one.trajectory.model_copy(update={"reward": 0.0})})
            for one in demonstrate(run)
        ]
        assert eto_dataset(run, directory / "agents" / "untrained", modest) is None


def test_what_was_shown_in_another_room_is_no_partner_of_a_failure(tuning_recipe, tmp_path):
    settings = ["collect={expert: exploring, varied_rooms: 1.0}", "tuning.eto_tasks=null"]
    with Run(load_recipe(tuning_recipe, settings), tmp_path) as run:
        shown = demonstrate(run)
        texts = agent_texts(agent_dataset(run, shown), run.config.agent.dialect)
        agent = scratch_base(texts, tmp_path / "agents" / "untrained", run.tuning.scratch)
        tasks = run.train_tasks()
        varied = {
            one.trajectory.task.key
            for one in shown
            if one.trajectory.task.instruction != tasks[one.trajectory.task.key].instruction
        }
        pairs = eto_dataset(run, agent, shown)
        keys = {line["task_key"] for _, line in read_jsonl(pairs)} if pairs else set()
    assert len(varied) >= 6
    assert not keys & varied
