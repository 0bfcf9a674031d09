import json

import pytest

from metaplan.core import DataError, Dialect, MetaPlan, PlanParseError, PreferencePair, Task
from metaplan.environments import get_benchmark
from metaplan.models import ScriptedModel
from metaplan.planners import (
    Planner,
    PlannerPrompt,
    load_planner,
    pair_line,
    plan_line,
    read_jsonl,
    write_jsonl,
)

PLAN, OTHER = MetaPlan(steps=("Find the {mug}.", "Take it.")), MetaPlan(steps=("Wait.",))
TASK = Task(
    key="household/train/1",
    benchmark="household",
    task_set="train",
    task_type="any",
    instruction="You are in a room. Your task is to: take a {mug}.",
)
PROMPT = PlannerPrompt.compact()


async def test_each_sample_has_a_seed_of_its_own_and_more_samples_extend_fewer():
    async def seeds(count, **settings):
        model = ScriptedModel(lambda _: PLAN.tagged())
        await Planner(model, PROMPT).sample(TASK, count, **settings)
        return [call.sampling.seed for call in model.calls]

    five = await seeds(5)
    assert len(set(five)) == 5
    assert await seeds(3) == five[:3]
    assert await seeds(2, start=3) == five[3:]
    assert not set(await seeds(5, seed=1)) & set(five)


async def test_a_completion_without_a_plan_is_kept_as_what_it_is():
    model = ScriptedModel([PLAN.tagged(), "I can't."])
    good, bad = await Planner(model, PROMPT).sample(TASK, 2)
    assert (good.plan, good.raw, good.index) == (PLAN, PLAN.tagged(), 0)
    assert (bad.plan, bad.raw, bad.index) == (None, "I can't.", 1)


async def test_a_planner_reads_what_it_was_taught():
    """The prompt of a training line, and what is asked in use, are the same messages."""
    model = ScriptedModel([PLAN.tagged()])
    await Planner(model, PROMPT).sample(TASK, 1, temperature=0.0)
    (call,) = model.calls
    line = plan_line(PROMPT, TASK, PLAN)
    assert list(call.messages) == line["prompt"]
    assert MetaPlan.parse(line["completion"][0]["content"]) == PLAN
    assert (call.sampling.temperature, call.sampling.max_tokens) == (0.0, PROMPT.max_tokens)
    assert call.sampling.distinct_steps


def test_a_plan_for_a_text_is_one_greedy_call():
    model = ScriptedModel([PLAN.tagged(), "No."])
    planner = Planner(model, PROMPT)
    assert planner.plan(TASK.instruction) == PLAN
    assert TASK.instruction in model.calls[0].messages[0]["content"]
    assert model.calls[0].sampling.temperature == 0.0
    with pytest.raises(PlanParseError, match=r"'No\.'"):
        planner.plan(TASK)


@pytest.mark.parametrize("dialect", Dialect)
@pytest.mark.parametrize("benchmark", ["alfworld", "household"])
def test_the_papers_prompt_is_filled_in_either_dialect(benchmark, dialect):
    prompt = PlannerPrompt(template=get_benchmark(benchmark).prompts.planner, dialect=dialect)
    ((message),) = prompt.messages(TASK.instruction)
    text = message["content"]
    other = ({*Dialect} - {dialect}).pop()
    assert text.startswith(f"Please generate a step-by-step {dialect.words} for a house holding")
    assert f"<{dialect.value}>\nStep 1: ..." in text
    assert other.value not in text
    assert other.words not in text
    assert text.count(TASK.instruction) == 1
    assert "{task}" not in text


def test_model_and_prompt_shape_a_planners_fingerprint():
    planners = [
        Planner(ScriptedModel([]), PROMPT),
        Planner(ScriptedModel([], name="other"), PROMPT),
        Planner(ScriptedModel([]), PlannerPrompt.compact(Dialect.WORKFLOW)),
    ]
    assert len({planner.fingerprint for planner in planners}) == 3


def test_a_prompt_is_kept_beside_the_weights(tmp_path):
    prompt = PlannerPrompt.compact(Dialect.WORKFLOW, max_tokens=99)
    prompt.save(tmp_path)
    assert PlannerPrompt.load(tmp_path) == prompt


def test_what_is_no_planner_is_said(tmp_path):
    with pytest.raises(DataError, match="is not a planner"):
        load_planner(tmp_path / "absent")
    for damage in ("{", '{"template": 1}', '{"template": "{task}", "beta": 1}'):
        (tmp_path / "planner.json").write_text(damage, "utf-8")
        with pytest.raises(DataError, match=r"planner\.json is damaged"):
            load_planner(tmp_path)


def test_a_pair_is_a_line_in_trls_format():
    pair = PreferencePair(
        task_key=TASK.key, chosen=PLAN, rejected=OTHER, chosen_score=0.8, rejected_score=0.2
    )
    line = pair_line(PROMPT, {TASK.key: TASK}, pair)
    assert line["prompt"] == PROMPT.messages(TASK.instruction)
    assert line["chosen"] == [{"role": "assistant", "content": PLAN.tagged()}]
    assert line["rejected"] == [{"role": "assistant", "content": OTHER.tagged()}]
    assert json.loads(json.dumps(line)) == line


def test_lines_read_back_as_they_were_written(tmp_path):
    lines = [{"text": "a\nb\u2028c\x85 ü {x}"}, {"n": [1, None]}]
    path = write_jsonl(tmp_path / "new" / "lines.jsonl", lines)
    assert list(read_jsonl(path)) == list(enumerate(lines, 1))


def test_an_interrupted_write_leaves_the_old_file_whole(tmp_path):
    path = write_jsonl(tmp_path / "lines.jsonl", [{"n": 1}])

    def breaking():
        yield {"n": 2}
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="disk"):
        write_jsonl(path, breaking())
    assert list(read_jsonl(path)) == [(1, {"n": 1})]
