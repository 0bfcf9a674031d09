import re

import pytest

from metaplan.core import Dialect, MetaPlan, fill
from metaplan.environments import get_benchmark

PROMPTS = get_benchmark("alfworld").prompts
ACTIONS = """1. go to recep
2. take obj from recep
3. put obj in/on recep
4. open recep
5. close recep
6. toggle obj recep
7. clean obj with recep
8. heat obj with recep
9. cool obj with recep
where obj and recep correspond to objects and receptacles."""


@pytest.mark.parametrize("text", [PROMPTS.instruction, PROMPTS.planner, PROMPTS.collection])
def test_every_prompt_lists_the_nine_actions_as_figure_11_does(text):
    assert ACTIONS in text


@pytest.mark.parametrize("dialect", list(Dialect))
def test_the_planner_prompt_speaks_either_dialect(dialect):
    prompt = fill(PROMPTS.planner, task="a task", plan_words=dialect.words, tag=dialect.value)
    assert prompt.startswith(
        f"Please generate a step-by-step {dialect.words} for a house holding task:"
    )
    assert prompt.endswith(f"<{dialect.value}>\nStep 1: ...\nStep 2: ...\n...\n</{dialect.value}>")
    assert not re.search(r"\{[a-z_]+\}", prompt)


def test_the_planner_prompt_is_the_collection_prompt_without_the_conversation():
    begin = PROMPTS.collection.index("Below is the standard")
    end = PROMPTS.collection.index("The generated {plan_words}")
    assert PROMPTS.planner == PROMPTS.collection[:begin] + PROMPTS.collection[end:]


def test_the_format_that_the_prompt_asks_for_is_a_plan():
    shown = fill(PROMPTS.planner, task="", plan_words="meta plan", tag="meta_plan")
    assert MetaPlan.parse(shown.rpartition("format:")[2]).steps


def test_the_instruction_has_slots_for_example_and_task_at_its_end():
    assert PROMPTS.instruction.endswith(
        "Here is an example.\n{example}\n\n---\n\n"
        "Now, it's your turn and here is the task.\n{task_instruction}"
    )
