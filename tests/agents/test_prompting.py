import pytest
from hypothesis import given
from hypothesis import strategies as st

from metaplan.agents import PromptProfile, find_action, first_message, insert_plan
from metaplan.core import Dialect, MetaPlan, Placement, Task
from metaplan.environments import get_benchmark

PLAN = MetaPlan(steps=("Find the {mug}.", "Take it."))
SENTENCE = f"This meta plan maybe helpful for you to complete the task:\n{PLAN.text}"
CHAT = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Task."},
    {"role": "assistant", "content": "Thought: hm.\nAction: look"},
    {"role": "user", "content": "Observation: a room."},
]
TURNS = st.lists(st.tuples(st.text(max_size=8), st.text(max_size=8)), max_size=5)


def contents(messages):
    return [message["content"] for message in messages]


@pytest.mark.parametrize(
    "reply",
    [
        "Thought: I look.\nAction: go to desk 1",
        "Action: go to desk 1",
        "go there\nAction:go to desk 1\n",
        "Thought: I look. Action: go to desk 1",
        "**Thought:** I look.\n\n**Action:** go to desk 1",
        "**Action**: `go to desk 1`",
        "### Action: go to desk 1",
        "- Action: *go to desk 1*",
        "> ACTION : go to desk 1",
        "Thought 1: I look.\nAction 1: go to desk 1",
        "Action:\ngo to desk 1",
        "**Action:**\n\n`go to desk 1`",
        "Action:\n```\ngo to desk 1\n```",
        "Thought: I look.\r\nAction: go to desk 1\r\n",
        "Action: go to desk 1\nObservation: On the desk 1, you see a mug 1.\nAction: take mug 1",
        "Thought: The action: it matters.\nAction: go to desk 1",
        "Thought: I look.\n Action: go to desk 1",
        "Action: Action: go to desk 1",
    ],
)
def test_the_first_action_of_a_reply_is_found(reply):
    assert find_action(reply) == "go to desk 1"


@pytest.mark.parametrize(
    "action",
    ["search[red shoes, size 9]", "click[Buy Now]", "put mug 1 in/on desk 1", "take {mug} (1)"],
)
def test_an_action_keeps_its_own_punctuation(action):
    assert find_action(f"Thought: now.\nAction: {action}") == action


@pytest.mark.parametrize(
    "reply",
    [
        "",
        "I will go to desk 1.",
        "Thought: which action should I take?",
        "Action:",
        "Action: \n",
        "**Action:** ``",
        "Thought: hm.\nAction:\nObservation: You are at the desk.",
        "Thought: the best reaction: none",
    ],
)
def test_a_reply_without_an_action_is_a_format_error(reply):
    assert find_action(reply) is None


@given(st.text())
def test_an_action_is_one_line_of_the_reply(reply):
    action = find_action(f"{reply}\nAction: {reply}")
    assert action is None or ("\n" not in action and action in reply)


def test_the_plan_follows_the_task_in_the_first_user_message():
    placed = insert_plan(CHAT, PLAN)
    assert contents(placed) == ["Be brief.", f"Task.\n\n{SENTENCE}", *contents(CHAT[2:])]


def test_the_plan_follows_every_later_observation():
    placed = insert_plan(CHAT, PLAN, Placement.OBSERVATION)
    assert contents(placed) == [*contents(CHAT[:3]), f"Observation: a room.\n\n{SENTENCE}"]


def test_the_plan_begins_every_reply_and_the_one_that_is_due():
    placed = insert_plan(CHAT, PLAN, Placement.THOUGHT)
    thought = f"Thought: {SENTENCE}\n"
    assert contents(placed)[2] == f"{thought}{CHAT[2]['content']}"
    assert placed[-1] == {"role": "assistant", "content": thought}
    assert len(placed) == len(CHAT) + 1


def test_the_authors_checkpoints_read_workflow():
    placed = insert_plan(CHAT, PLAN, dialect=Dialect.WORKFLOW)
    assert "This workflow maybe helpful for you" in placed[1]["content"]


def test_a_conversation_without_a_user_message_is_refused():
    with pytest.raises(ValueError, match="user message"):
        insert_plan(CHAT[:1], PLAN)


@given(TURNS, st.sampled_from(Placement), st.sampled_from(Dialect))
def test_a_growing_conversation_keeps_its_beginning(turns, placement, dialect):
    """What a model has read stays as it was: prefix caches hold."""
    messages = [{"role": "user", "content": "Task."}]
    before = insert_plan(messages, PLAN, placement, dialect)
    for reply, observation in turns:
        messages.append({"role": "assistant", "content": reply})
        messages.append({"role": "user", "content": observation})
        original = [dict(message) for message in messages]
        now = insert_plan(messages, PLAN, placement, dialect)
        assert messages == original
        if placement is Placement.THOUGHT:
            assert now[: len(before) - 1] == before[:-1]
            assert now[len(before) - 1]["content"].startswith(before[-1]["content"])
        else:
            assert now[: len(before)] == before
        before = now


def test_the_compact_prompt_holds_the_task_and_no_example():
    task = Task(key="t", benchmark="household", task_set="train", task_type="pick_and_place_simple")
    benchmark = get_benchmark("household")
    compact = first_message(benchmark, task, "Your {task} is this.", PromptProfile.COMPACT)
    paper = first_message(benchmark, task, "Your {task} is this.", PromptProfile.PAPER)
    assert compact["content"].endswith("Your {task} is this.")
    assert len(compact["content"]) < 100
    assert benchmark.example(task) in paper["content"]
    assert "Your {task} is this." in paper["content"]
