"""Every word of the paper's Figures 7-12, typed here once more, against the data files.

Only blanks are not compared: how the figures break their lines, the paper's columns hide.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metaplan.core import Dialect, fill
from metaplan.environments import get_benchmark

PROMPTS = {
    "scienceworld": get_benchmark("scienceworld").prompts,
    "alfworld": get_benchmark("alfworld").prompts,
    "webshop": get_benchmark("webshop").prompts,
}

SCIENCE_ROOMS = """
You are a helpful assistant to do some scientific experiment in an environment. In the environment,
there are several rooms: kitchen, foundry, workshop, bathroom, outside, living room, bedroom,
greenhouse, art studio, hallway.
"""
SCIENCE_AIM = """
You should explore the environment and find the items you need to complete the experiment. You can
teleport to any room in one step. All containers in the environment have already been opened, you
can directly get items from the containers.
"""
SCIENCE_ACTIONS = """
The available actions are: open OBJ: open a container close OBJ: close a container activate OBJ:
activate a device deactivate OBJ: deactivate a device connect OBJ to OBJ: connect electrical
components disconnect OBJ: disconnect electrical components use OBJ [on OBJ]: use a device/item look
around: describe the current room examine OBJ: describe an object in detail look at OBJ: describe a
container's contents read OBJ: read a note or book move OBJ to OBJ: move an object to a container
pick up OBJ: move an object to the inventory pour OBJ into OBJ: pour a liquid into a container mix
OBJ: chemically mix a container teleport to LOC: teleport to a specific room focus on OBJ: signal
intent on a task object wait: task no action for 10 steps wait1: task no action for a step
"""
# Figure 8 prints "2. task obj from recep". No game has such an action; Figure 11 lists the same
# nine with "take", and so do both of ours.
HOUSE_ACTIONS = """
1. go to recep 2. take obj from recep 3. put obj in/on recep 4. open recep 5. close recep 6. toggle
obj recep 7. clean obj with recep 8. heat obj with recep 9. cool obj with recep where obj and recep
correspond to objects and receptacles.
"""
SHOP_AIM = """
You are web shopping. I will give you instructions about what to do. You have to follow the
instructions.
"""
SHOP_TURNS = """
Every round I will give you an observation and a list of available actions, you have to respond an
action based on the state and instruction. You can use search action if search is available. You can
click one of the buttons in clickables.
"""
SHOP_RULES = """
If the action is not valid, perform nothing. Keywords in search are up to you, but the value in
click must be a value in the list of available actions. Remember that your keywords in search should
be carefully designed.
"""
CONVERSATION = """
Below is the standard and detailed procedure for solving this task: <conversation> A CONVERSATION
</conversation>
"""
FORMAT = """
The generated meta plan should be written in the following format: <meta_plan> Step 1: ... Step 2:
... ... </meta_plan>
"""
TURNS = """
For each of your turn, you will be given the observation of the last turn. You should choose from
two actions: "Thought" or "Action". If you choose "Thought", you should first think about the
current condition and plan for your future actions, and then output your action in this turn. Your
output must strictly follow this format:"Thought: your thoughts.\\n Action: your next action"; If
you choose "Action", you should directly output the action in this turn. Your output must strictly
follow this format:"Action: your next action".
"""
# In Figure 10 the first of these sentences was lost; Figures 11 and 12 have it.
TASK = """
Here is an example. AN EXAMPLE --- Now, it's your turn and here is the task. A TASK
"""

COLLECTION = {
    "scienceworld": [  # Figure 7
        "Please generate a step-by-step meta plan for a scientific task: <task>",
        SCIENCE_ROOMS,
        "A TASK </task>",
        SCIENCE_AIM,
        SCIENCE_ACTIONS,
        CONVERSATION,
        "You need to conclude abstract steps as a meta plan, which can be used to solve similar "
        "tasks in the future. The meta plan should be a commonly-reused routine of the tasks.",
        FORMAT,
    ],
    "alfworld": [  # Figure 8
        "Please generate a step-by-step meta plan for a house holding task: <task> A TASK </task>",
        "The action list you can take:",
        HOUSE_ACTIONS,
        CONVERSATION,
        FORMAT,
    ],
    "webshop": [  # Figure 9
        "Please generate a step-by-step meta plan for a webshopping task:",
        SHOP_AIM,
        "<task> A TASK </task>",
        SHOP_TURNS,
        "The available actions are: click[value]: click a button search[keywords]: search for a "
        "keyword",
        SHOP_RULES,
        CONVERSATION,
        FORMAT,
    ],
}
INSTRUCTION = {
    "scienceworld": [  # Figure 10
        SCIENCE_ROOMS,
        SCIENCE_AIM,
        TURNS,
        'Remember that you can only output one "Action:" in per response.',
        SCIENCE_ACTIONS,
        TASK,
    ],
    "alfworld": [  # Figure 11
        "Interact with a household to solve a task. Imagine you are an intelligent agent in a "
        "household environment and your target is to perform actions to complete the task goal. At "
        "the beginning of your interactions, you will be given the detailed description of the "
        "current environment and your goal to accomplish.",
        TURNS,
        "The available actions are:",
        HOUSE_ACTIONS,
        "After your each turn, the environment will give you immediate feedback based on which you "
        'plan your next few steps. if the environment output "Nothing happened", that means the '
        "previous action is invalid and you should try more options.",
        "Reminder: 1. The action must be chosen from the given available actions. Any actions "
        "except provided available actions will be regarded as illegal. 2. Think when necessary, "
        "try to act directly more in the process.",
        TASK,
    ],
    "webshop": [  # Figure 12
        SHOP_AIM,
        SHOP_TURNS,
        "An action should be of the following structure: search[keywords] click[value]",
        SHOP_RULES,
        "Your response should use the following format: Thought: I think ... Action: "
        "click[something]",
        TASK,
    ],
}


def words(*texts):
    return " ".join(texts).split()


def in_dialect(parts, dialect):
    """The figure in the words of the paper, or in those of the authors' code."""
    text = " ".join(parts)
    return text.replace("meta plan", dialect.words).replace("meta_plan", dialect.value)


def planning(template, dialect, **texts):
    return fill(template, plan_words=dialect.words, tag=dialect.value, **texts)


@pytest.mark.parametrize("dialect", Dialect)
@pytest.mark.parametrize("benchmark", PROMPTS)
def test_figures_7_to_9_word_by_word_in_either_dialect(benchmark, dialect):
    prompt = planning(
        PROMPTS[benchmark].collection, dialect, task="A TASK", conversation="A CONVERSATION"
    )
    assert words(prompt) == words(in_dialect(COLLECTION[benchmark], dialect))


@pytest.mark.parametrize("dialect", Dialect)
@pytest.mark.parametrize("benchmark", PROMPTS)
def test_the_planner_reads_the_same_without_the_conversation(benchmark, dialect):
    figure = [part for part in COLLECTION[benchmark] if part is not CONVERSATION]
    prompt = planning(PROMPTS[benchmark].planner, dialect, task="A TASK")
    assert words(prompt) == words(in_dialect(figure, dialect))


@pytest.mark.parametrize("benchmark", PROMPTS)
def test_figures_10_to_12_word_by_word(benchmark):
    prompt = fill(PROMPTS[benchmark].instruction, example="AN EXAMPLE", task_instruction="A TASK")
    assert words(prompt) == words(*INSTRUCTION[benchmark])


@pytest.mark.parametrize("benchmark", PROMPTS)
def test_no_prompt_holds_a_word_of_one_dialect_alone(benchmark):
    prompts = PROMPTS[benchmark]
    for template in (prompts.instruction, prompts.planner, prompts.collection):
        for dialect in Dialect:
            assert dialect.words not in template.lower()
            assert dialect.value not in template.lower()


@pytest.mark.parametrize("benchmark", PROMPTS)
@given(task=st.text(), conversation=st.text())
def test_braces_in_a_task_stay_text(benchmark, task, conversation):
    """A task may say {conversation}: it is filled in once, and nothing is filled into it."""
    template = PROMPTS[benchmark].collection
    before, between, after = _around(planning(template, Dialect.META_PLAN))
    task += "{conversation} {task} {tag}"
    prompt = planning(template, Dialect.META_PLAN, task=task, conversation=conversation)
    assert prompt == before + task + between + conversation + after


def _around(template):
    before, _, rest = template.partition("{task}")
    between, _, after = rest.partition("{conversation}")
    return before, between, after
