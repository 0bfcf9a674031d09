"""What a person finds in review.jsonl, and what becomes of the decisions."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metaplan.collection import Attempt, OpenCase, read_decisions, write_review
from metaplan.collection.seeds import examine
from metaplan.core import DataError, MetaPlan

FLAWED = "<meta_plan>\nStep 1: Go to desk 1.\n</meta_plan>"
ACTIONS = ("go to {receptacle}", "take {object} from {receptacle}")


@pytest.fixture(scope="session")
def case(trajectory):
    """A task whose two summaries were too specific."""

    def make(key, *texts):
        attempts = (Attempt(by="summary", text=text, temperature=0.3) for text in texts or [FLAWED])
        return OpenCase(
            trajectory=trajectory(key, "go to desk 1", "take mug 1 from desk 1"),
            attempts=tuple(examine(attempt, ACTIONS) for attempt in attempts),
        )

    return make


def lines(path):
    return {line["task_key"]: line for line in map(json.loads, path.read_text().splitlines())}


def edit(path, key, **changes):
    changed = lines(path)
    changed[key] |= changes
    path.write_text("".join(json.dumps(line) + "\n" for line in changed.values()))


def test_a_line_has_all_that_a_person_needs_to_decide(tmp_path, case):
    path = tmp_path / "review.jsonl"
    write_review(path, [case("t/1", FLAWED, "Step 1: Go to shelf 2.", "I can't.")])
    line = lines(path)["t/1"]
    assert (line["accept"], line["plan"]) == (None, "Step 1: Go to shelf 2.")
    assert line["problems"] == line["attempts"][-1]["problems"]
    assert "You are in the room of t/1" in line["instruction"]
    assert "Action: take mug 1 from desk 1" in line["expert"]
    assert [attempt["text"] for attempt in line["attempts"]][::2] == [FLAWED, "I can't."]
    assert line["attempts"][0]["problems"] == ["names one instance, desk 1; say the kind"]
    assert read_decisions(path, {"t/1"}) == {}


def test_decisions_are_read_and_their_lines_never_rewritten(tmp_path, case):
    path = tmp_path / "review.jsonl"
    write_review(path, [case("t/1"), case("t/2"), case("t/3")])
    edit(path, "t/1", accept=True, plan="1. Take the {mug}.", note="mended by hand")
    edit(path, "t/2", accept=False)
    decided = {key: line for key, line in lines(path).items() if key != "t/3"}
    decisions = read_decisions(path, {"t/1", "t/2", "t/3"})
    assert decisions["t/1"].plan == MetaPlan(steps=("Take the {mug}.",))
    assert decisions["t/2"].plan is None
    assert "t/3" not in decisions
    assert write_review(path, [case("t/3", "Step 1: Go to shelf 1.")]) == 0
    after = lines(path)
    assert {key: after[key] for key in decided} == decided
    assert after["t/3"]["plan"] == "Step 1: Go to shelf 1."


def test_an_edited_plan_is_kept_and_pointed_at_until_it_is_decided_about(tmp_path, case):
    path = tmp_path / "review.jsonl"
    write_review(path, [case("t/1"), case("t/2")])
    edit(path, "t/1", plan="Step 1: Go to a")
    assert write_review(path, [case("t/1"), case("t/2")]) == 1
    assert lines(path)["t/1"]["plan"] == "Step 1: Go to a"


def test_what_no_longer_waits_is_gone(tmp_path, case):
    path = tmp_path / "review.jsonl"
    write_review(path, [case("t/1"), case("t/2")])
    write_review(path, [case("t/2")])
    assert list(lines(path)) == ["t/2"]


def test_a_line_of_a_persons_own_needs_key_plan_and_accept_alone(tmp_path):
    path = tmp_path / "review.jsonl"
    path.write_text('{"task_key": "t/1", "plan": "Step 1: Look.", "accept": true}\n')
    assert read_decisions(path, {"t/1"})["t/1"].plan == MetaPlan(steps=("Look.",))
    write_review(path, [])
    assert lines(path)["t/1"]["accept"] is True


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "is not JSON"),
        ('{"task_key": "t/1", "accept": "yes"}', "'accept' must be true, false or null"),
        ('{"task_key": "t/1", "accept": 1}', "'accept' must be true, false or null"),
        ('{"task_key": "t/9", "accept": false}', "'t/9' is not among the trajectories"),
        ('{"accept": false}', "None is not among the trajectories"),
        ('{"task_key": "t/1", "accept": true, "plan": "Look."}', "'plan' has no numbered steps"),
        ('{"task_key": "t/1", "accept": true}', "'plan' has no numbered steps"),
        ('{"task_key": "t/0", "accept": false}', "decides a second time about 't/0'"),
    ],
)
def test_a_slip_is_named_by_file_and_line(tmp_path, line, message):
    path = tmp_path / "review.jsonl"
    path.write_text('{"task_key": "t/0", "accept": false}\n' + line + "\n")
    with pytest.raises(DataError, match=rf"review\.jsonl, line 2: .*{message}"):
        read_decisions(path, {"t/0", "t/1"})


@settings(deadline=None)
@given(st.text())
def test_any_answer_can_be_written_and_read_and_is_not_taken_for_a_persons_edit(
    case, tmp_path_factory, text
):
    path = tmp_path_factory.mktemp("run") / "review.jsonl"
    for _ in range(2):
        assert write_review(path, [case("t/1", text)]) == 0
    write_review(path, [])
    assert path.read_text() == ""
