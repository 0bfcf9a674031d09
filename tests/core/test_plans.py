import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from metaplan.core import Dialect, MetaPlan, PlanParseError, ends_that_repeat

TWO = ("Go to the fridge.", "Take the mug.")

# Text made of what parsing cares about, far likelier to break it than arbitrary characters.
PIECES = st.sampled_from(
    [
        "Step 1:", "step 2.", "Step 3 -", "Step 2", "STEP 12)", "Step 1.1:", "1. ", "2) ", "(3) ",
        "<meta_plan>", "</meta_plan>", "<workflow>", "</workflow>", "<plan", "plan>", "meta_", "<",
        ">", "[/plan]", "</think>", "**", "*", "`", "```", "#", "_", "- ", "•", "\n", "\n\n", " ",
        "\t", "\r\n", "\u3000", "：", "—", "{task}", "{", "go", "take the mug", ".", ",", ":",
        "9" * 30, "١", "²", "\u2028", "\x00",
    ]
)  # fmt: skip
TANGLES = st.lists(PIECES, max_size=25).map("".join)
TEXTS = st.one_of(TANGLES, st.text())


def plan_or_none(text):
    try:
        return MetaPlan.parse(text)
    except PlanParseError:
        return None


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(f"<meta_plan>\nStep 1: {TWO[0]}\nStep 2: {TWO[1]}\n</meta_plan>", id="paper"),
        pytest.param(f"<workflow>\nStep 1: {TWO[0]}\nStep 2: {TWO[1]}\n</workflow>", id="authors"),
        pytest.param(f"<meta plan>\nStep 1: {TWO[0]}\nStep 2: {TWO[1]}\n</meta plan>", id="space"),
        pytest.param(f"<Meta-Plan>\nStep 1: {TWO[0]}\nStep 2: {TWO[1]}<\\MetaPlan>", id="typo"),
        pytest.param(f"<meta_plan id=1>\nStep 1: {TWO[0]}\nStep 2: {TWO[1]}", id="never closed"),
        pytest.param(f"Step 1: {TWO[0]}\nStep 2: {TWO[1]}\n</meta_plan> Enjoy!", id="never opened"),
        pytest.param(
            f"<meta_plan>\nStep 1: {TWO[0]}\nStep 2: {TWO[1]}\n<meta_plan>\nEnjoy!",
            id="closed without slash",
        ),
        pytest.param(
            f"<meta_plan></meta_plan>\nStep 1: {TWO[0]}\nStep 2: {TWO[1]}", id="empty tags"
        ),
        pytest.param(
            f"I use <meta_plan></meta_plan> tags.\n<meta_plan>Step 1: {TWO[0]}\nStep 2: {TWO[1]}"
            "</meta_plan>",
            id="tags mentioned first",
        ),
        pytest.param(
            f"```xml\n<meta_plan>\nStep 1: {TWO[0]}\nStep 2: {TWO[1]}\n</meta_plan>```", id="fenced"
        ),
        pytest.param(f"```\nStep 1: {TWO[0]}\nStep 2: {TWO[1]}\n```", id="fenced without tags"),
        pytest.param(f"Step 1: {TWO[0]} Step 2: {TWO[1]}", id="one line"),
        pytest.param(f"Meta Plan: Step 1. {TWO[0]} Step 2. {TWO[1]}", id="one line, full stops"),
        pytest.param(f"Step 1: {TWO[0]}Step 2: {TWO[1]}", id="one line, glued"),
        pytest.param(f"**Step 1:** {TWO[0]}\n**Step 2**: {TWO[1]}", id="bold"),
        pytest.param(f"- Step 1 - {TWO[0]}\n- Step 2 - {TWO[1]}", id="bullets"),
        pytest.param(f"1. Step 1: {TWO[0]}\n2. Step 2: {TWO[1]}", id="numbered twice"),
        pytest.param(f"Step 1: Step 1: {TWO[0]}\nStep 2: Step 2: {TWO[1]}", id="said twice"),
        pytest.param(f"## Step 1\n{TWO[0]}\n\n## Step 2\n{TWO[1]}", id="headings"),
        pytest.param(f"Step1: {TWO[0]}\nstep_2: {TWO[1]}", id="without space"),
        pytest.param(f"STEP 1\u2014{TWO[0]}\nSTEP 2\u2014{TWO[1]}", id="dashes"),
        pytest.param(f"Step 1\uff1a{TWO[0]}\nStep 2\uff1a{TWO[1]}", id="full-width colon"),
        pytest.param(f"Step 1: {TWO[0]}\r\n\r\nStep 2: {TWO[1]}\r\n\r\nGood luck!", id="windows"),
        pytest.param(f"Sure! Here it is:\n\n1. {TWO[0]}\n2. {TWO[1]}\n\nGo!", id="plain list"),
        pytest.param(f"(1) {TWO[0]}\n(2) {TWO[1]}", id="parentheses"),
        pytest.param(f"Step 0: {TWO[0]}\nStep 1: {TWO[1]}", id="from zero"),
        pytest.param(f"Step 1: {TWO[0]}\nStep 3: {TWO[1]}", id="gap"),
        pytest.param(f"Step 1: {TWO[0]}\nStep 1: {TWO[1]}", id="number repeated"),
        pytest.param(
            f"<think>Step 1: maybe the shelf?</think>\nStep 1: {TWO[0]}\nStep 2: {TWO[1]}",
            id="thought about",
        ),
    ],
)  # fmt: skip
def test_a_plan_is_read_however_the_model_breaks_the_format(text):
    assert MetaPlan.parse(text).steps == TWO


def test_figure_14_is_read():
    text = (
        "Meta Plan: Step 1: go to where the first pillow may be located. Step 2: take first "
        "pillow. Step 3: go to where sofa is. Step 4: put first pillow in/on sofa."
    )
    assert MetaPlan.parse(text).steps == (
        "go to where the first pillow may be located.",
        "take first pillow.",
        "go to where sofa is.",
        "put first pillow in/on sofa.",
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        " \n",
        "I can't help with that.",
        "<meta_plan></meta_plan>",
        "Step 1:\nStep 2:",
        "<meta_plan>\nStep",
        "Go to the fridge and take 2. That is all.",
    ],
)
def test_text_without_steps_is_no_plan(text):
    with pytest.raises(PlanParseError, match="no numbered steps"):
        MetaPlan.parse(text)


def test_of_several_tagged_plans_the_first_is_read():
    first, second = MetaPlan(steps=TWO), MetaPlan(steps=("Wait.",))
    assert MetaPlan.parse(f"{first.tagged()}\nor\n{second.tagged()}") == first


@pytest.mark.parametrize(
    "steps",
    [
        ("Search the shelves.", "If it is not there, go back to step 1.", "Take it."),
        ("If it is closed, go to Step 3. Otherwise look inside.", "Look again.", "Open it."),
        ("Look.", "Then repeat Step 1 until it is found.", "Put it down."),
    ],
)
def test_a_step_may_mention_another(steps):
    plan = MetaPlan(steps=steps)
    assert plan.steps == steps
    assert MetaPlan.parse(plan.text) == plan
    one_line = plan.text.replace("\n", " ")
    assert MetaPlan.parse(one_line) == plan


def test_a_mention_with_a_colon_does_not_split_its_step():
    text = "Step 1: Look.\nStep 2: Failing that, see step 3: open it.\nStep 3: Open it."
    assert len(MetaPlan.parse(text).steps) == 3


def test_details_under_a_step_belong_to_it():
    text = "1. Find the mug:\n   1. on the desk\n   2. on the shelf\n2. Take it."
    assert MetaPlan.parse(text).steps == (
        "Find the mug: 1. on the desk 2. on the shelf",
        "Take it.",
    )


def test_what_follows_the_last_step_after_a_blank_line_is_no_step():
    text = "Step 1: Look around\nthe room.\n\nStep 2: Take the mug.\n\nThis plan is reusable."
    assert MetaPlan.parse(text).steps == ("Look around the room.", "Take the mug.")


def test_braces_and_slots_stay_text():
    plan = MetaPlan.parse("Step 1: Take {task} and {0!r} {{x}}.")
    assert plan.steps == ("Take {task} and {0!r} {{x}}.",)


def test_a_plan_is_rendered_with_numbers_from_one_between_the_tags_of_its_dialect():
    plan = MetaPlan(steps=TWO)
    assert plan.text == f"Step 1: {TWO[0]}\nStep 2: {TWO[1]}"
    assert plan.tagged() == f"<meta_plan>\n{plan.text}\n</meta_plan>"
    assert plan.tagged(Dialect.WORKFLOW) == f"<workflow>\n{plan.text}\n</workflow>"


def test_equal_plans_have_equal_keys_however_they_were_written():
    read = MetaPlan.parse(f"**Step 1**:  {TWO[0]}\n\n**Step 3**:\t{TWO[1]}")
    assert read.key == MetaPlan(steps=TWO).key
    assert read.key != MetaPlan(steps=TWO[::-1]).key


def test_a_plans_key_never_changes():
    """Stored runs refer to plans by key: this digest is for ever."""
    assert MetaPlan(steps=TWO).key == "8a2c0b3d7b5e5719"


def test_a_plan_needs_a_step_that_says_something():
    for steps in ((), ("",), (" ** ", "Step 2: `")):
        with pytest.raises(ValueError, match="at least one step"):
            MetaPlan(steps=steps)


@given(TEXTS)
def test_any_text_is_a_plan_or_no_plan(text):
    plan = plan_or_none(text)
    assert plan is None or all(step and "\n" not in step for step in plan.steps)


@given(TEXTS, st.sampled_from(Dialect))
@example("Step 1: a Step 2: Step 3: x Step 3: b", Dialect.META_PLAN)
@example("Step 1: <meta<plan>plan>x</think>", Dialect.META_PLAN)
def test_reading_what_was_read_changes_nothing(text, dialect):
    plan = plan_or_none(text)
    if plan is not None:
        assert MetaPlan.parse(plan.text) == plan
        assert MetaPlan.parse(plan.tagged(dialect)) == plan
        assert MetaPlan.parse(f"Sure:\n{plan.tagged(dialect)}\nStep 9: Enjoy!") == plan


@given(st.lists(TEXTS, min_size=1, max_size=5), st.sampled_from(Dialect))
def test_every_plan_reads_back_from_its_rendering(steps, dialect):
    try:
        plan = MetaPlan(steps=tuple(steps))
    except ValueError:
        return
    assert MetaPlan(steps=plan.steps) == plan
    assert MetaPlan.parse(plan.text) == plan
    assert MetaPlan.parse(plan.tagged(dialect)) == plan


def test_a_walk_in_circles_is_told_without_them_and_what_is_done_twice_stays():
    circles = ("Go to the desk.", "Go to the shelf.", "Go to the desk.", "Take the pen.")
    twice = ("Go to the desk.", "Put the pen in/on the desk.")
    plan = MetaPlan(steps=(*circles, *twice, *twice))
    assert plan.without_repeats() == MetaPlan(steps=(*circles[:2], circles[3], *twice, *twice))


@given(st.lists(st.sampled_from(["Go on.", "Go back.", "Take it.", "go on."]), min_size=1))
def test_without_repeats_only_repeats_are_left_out(steps):
    plan = MetaPlan(steps=tuple(steps))
    clean = plan.without_repeats()
    assert clean.without_repeats() == clean
    assert set(clean.steps) == set(plan.steps)
    left = iter(plan.steps)
    assert all(step in left for step in clean.steps)  # in the plan's order


@pytest.mark.parametrize(
    "pattern",
    [
        "step 1 ", "Step 1: ", "*", "\n", "\n ", "* ", "<plan>", "</plan>", "<plan", "<meta plan ",
        "<plan></plan>", "<", "\n1. ", "\n(1) ", "`", "<<plan>>", "\n> # _", "Step 1: Step 2: ",
        "</think>", "Step 1 -", "\nStep 1: a\n\n", "<[<[/", "step#1.1.1.1",
    ],
)  # fmt: skip
def test_no_text_is_slow_to_read(pattern):
    text = pattern * (200_000 // len(pattern))
    started = time.process_time()
    plan_or_none(text)
    plan_or_none(f"step 1{text}x")
    assert time.process_time() - started < 2.0


def test_the_end_that_would_repeat_a_step_is_told_where_it_begins():
    said = "<meta_plan>\nStep 1: Go to the desk.\nStep 2: Go to the desk lamp.\nStep 3: Go to"
    assert ends_that_repeat(said) == {" the desk", " the desk lamp"}
    assert ends_that_repeat(f"{said} the") == {" desk", " desk lamp"}
    assert ends_that_repeat(f"{said} the desk") == {" lamp"}
    assert ends_that_repeat(f"{said} the de") == set()
    assert ends_that_repeat(f"{said} the shelf.\nStep 4: Take the pen.\nStep 5: Go to the") == set()
    assert ends_that_repeat("") == ends_that_repeat("Step 1: ") == set()


@given(st.lists(st.sampled_from(["Go on.", "Go back.", "Take it.", "Take me"]), min_size=1))
def test_a_plan_written_without_these_ends_has_no_repeats(steps):
    written: list[str] = []
    for step in steps:
        first, rest = step.split(" ")
        beginning = "\n".join([*written, f"Step {len(written) + 1}: {first}"])
        if f" {rest.rstrip('.')}" not in ends_that_repeat(beginning):
            written.append(f"Step {len(written) + 1}: {step}")
    plan = MetaPlan.parse("\n".join(written))
    assert plan == plan.without_repeats()
