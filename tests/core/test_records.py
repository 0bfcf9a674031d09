import pytest
from pydantic import ValidationError

from metaplan.core import EpisodeSpec, MetaPlan, Placement, StopReason, Task

TASK = Task(key="household/train/1", benchmark="household", task_set="train", task_type="any")


def spec(**changes):
    fields = {
        "task": TASK,
        "environment": "e",
        "plan": MetaPlan(steps=("Look.",)),
        "placement": Placement.INSTRUCTION,
        "agent": "a",
    }
    return EpisodeSpec(**{**fields, **changes})


def test_records_are_frozen_and_refuse_unknown_fields():
    with pytest.raises(ValidationError):
        TASK.key = "other"
    with pytest.raises(ValidationError):
        Task(**TASK.model_dump(), split="train")


def test_a_tasks_text_does_not_shape_the_key_of_its_episodes():
    described = TASK.model_copy(update={"instruction": "You are in the middle of a room."})
    assert spec(task=described).key == spec().key


def test_repetitions_have_keys_and_seeds_of_their_own():
    specs = [spec(repetition=repetition) for repetition in range(20)]
    assert len({s.key for s in specs}) == len({s.seed for s in specs}) == 20


def test_a_spec_survives_json_with_its_key():
    assert EpisodeSpec.model_validate_json(spec().model_dump_json()).key == spec().key


def test_what_the_agent_did_counts_and_outages_do_not():
    void = {reason.value for reason in StopReason if reason.is_void}
    assert void == {"model_error", "environment_error", "cancelled"}
