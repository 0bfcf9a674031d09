import json

import pytest

from metaplan.core import DataError
from metaplan.training.datasets import DPO_FIELDS, SFT_FIELDS, read_examples

PROMPT = [{"role": "user", "content": "a task"}]
REPLY = [{"role": "assistant", "content": "a plan"}]
GOOD = {"prompt": PROMPT, "completion": REPLY}


def write(tmp_path, *lines):
    path = tmp_path / "data.jsonl"
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def test_extra_fields_and_blank_lines_are_ignored(tmp_path):
    path = write(tmp_path, json.dumps({**GOOD, "task_key": "x", "scores": [1, 2]}), "", "  ")
    assert read_examples(path, SFT_FIELDS) == [GOOD]


def test_conversation_is_split_at_the_first_reply(tmp_path):
    rest = [*REPLY, *PROMPT, *REPLY]
    path = write(tmp_path, json.dumps({"messages": PROMPT + rest, "plan_key": None}))
    assert read_examples(path, SFT_FIELDS) == [{"prompt": PROMPT, "completion": rest}]


def test_a_message_keeps_a_weight_that_says_that_it_is_not_trained(tmp_path):
    slip = [{**REPLY[0], "weight": 0}, *PROMPT, *REPLY]
    path = write(tmp_path, json.dumps({"messages": PROMPT + slip}))
    assert read_examples(path, SFT_FIELDS) == [{"prompt": PROMPT, "completion": slip}]


@pytest.mark.parametrize(
    ("bad", "right"),
    [
        (json.dumps(GOOD), 'the field "messages", as the first line has'),
        (json.dumps({"messages": "text"}), 'field "messages"'),
        (json.dumps({"messages": [*PROMPT, {**REPLY[0], "weight": 2}]}), '"weight": 0 where'),
        (json.dumps({"messages": PROMPT}), "followed by a list of messages"),
        (json.dumps({"messages": PROMPT + REPLY + PROMPT}), 'ends with role "assistant"'),
        (json.dumps({"messages": PROMPT + REPLY * 3}), 'with one of role "user" between'),
        (json.dumps({"messages": REPLY}), 'ends with role "user"'),
        (json.dumps({"messages": [{"role": "user", "content": ""}, *REPLY]}), '"content": text'),
    ],
)
def test_bad_conversation_is_named_with_what_is_right(tmp_path, bad, right):
    good = json.dumps({"messages": PROMPT + REPLY})
    with pytest.raises(DataError) as caught:
        read_examples(write(tmp_path, good, bad), SFT_FIELDS)
    assert "data.jsonl, line 2" in str(caught.value)
    assert right in str(caught.value)


def test_line_separators_inside_text_do_not_split_a_line(tmp_path):
    prompt = [{"role": "user", "content": "a\u2028task"}]
    path = write(tmp_path, json.dumps({"prompt": prompt, "completion": REPLY}, ensure_ascii=False))
    assert read_examples(path, SFT_FIELDS)[0]["prompt"] == prompt


def test_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match=r"gone\.jsonl: no such dataset file"):
        read_examples(tmp_path / "gone.jsonl", SFT_FIELDS)


def test_empty_dataset_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"data\.jsonl: the dataset is empty"):
        read_examples(write(tmp_path, ""), SFT_FIELDS)


@pytest.mark.parametrize(
    ("bad", "right"),
    [
        ("{", "not JSON"),
        ("[]", 'expected an object with the fields "prompt", "completion"'),
        (json.dumps({"prompt": PROMPT}), 'fields "prompt", "completion"'),
        (json.dumps({**GOOD, "prompt": "text"}), 'ends with role "user"'),
        (json.dumps({**GOOD, "prompt": []}), 'ends with role "user"'),
        (json.dumps({**GOOD, "prompt": PROMPT + REPLY}), 'ends with role "user"'),
        (json.dumps({**GOOD, "completion": PROMPT}), 'begins and ends with role "assistant"'),
        (json.dumps({**GOOD, "completion": REPLY * 2}), 'begins and ends with role "assistant"'),
        (
            json.dumps({**GOOD, "completion": [{"role": "assistant", "content": 3}]}),
            '"content": text',
        ),
        (json.dumps({**GOOD, "prompt": [{"role": "tool", "content": "x"}, *PROMPT]}), '"system"'),
    ],
)
def test_bad_line_is_named_with_what_is_right(tmp_path, bad, right):
    with pytest.raises(DataError) as caught:
        read_examples(write(tmp_path, json.dumps(GOOD), "", bad), SFT_FIELDS)
    assert "data.jsonl, line 3" in str(caught.value)
    assert right in str(caught.value)


def test_preference_lines_need_chosen_and_rejected(tmp_path):
    with pytest.raises(DataError, match='"chosen", "rejected"'):
        read_examples(write(tmp_path, json.dumps(GOOD)), DPO_FIELDS)
