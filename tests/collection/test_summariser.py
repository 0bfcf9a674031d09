"""Summaries by a language model: each way in which Appendix C's quality control can go."""

import asyncio
import dataclasses
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metaplan.collection import RememberedModel, Summariser, conversation_text, sort_out
from metaplan.core import ContextLimitError, Dialect, ModelFault, RunError
from metaplan.environments import get_benchmark
from metaplan.episodes import RetryPolicy, RunStore
from metaplan.models import ScriptedModel
from metaplan.planners import lint_plan

HOUSEHOLD = get_benchmark("household")
GOOD = "<meta_plan>\nStep 1: Go to the desk.\nStep 2: Take the mug.\n</meta_plan>"
TOO_SPECIFIC = "Step 1: Go to desk 1.\nStep 2: Take mug 2."
UNKNOWN = "Step 1: Wash the mug in the dishwasher."
TOO_COMPLEX = "Step 1: Look for a mug, otherwise go to the desk."
UNFORMATTED = "First go to the desk, and then take the mug."
REFUSAL = "I'm sorry, but I can't help with that."


def summariser_of(model, store, *, retry=None, asks_again=True, **changes):
    retry = retry or RetryPolicy(attempts=1)
    made = Summariser(
        model=RememberedModel(model, store, retry, asks_again=asks_again),
        benchmark=HOUSEHOLD,
        dialect=Dialect.META_PLAN,
        temperatures=(0.0, 0.3, 0.7),
        max_tokens=200,
        seed=0,
    )
    return dataclasses.replace(made, **changes)


@pytest.fixture
def summarise(tmp_path):
    """Summarises a trajectory with a model, in a run of its own."""

    async def call(model, trajectory, **options):
        with RunStore(tmp_path) as store:
            return await summariser_of(model, store, **options).summarise(trajectory)

    return call


@pytest.fixture
def mug(trajectory):
    return trajectory("t/1", "go to desk 1", "take mug 1 from desk 1")


async def told(summarise, mug, *answers):
    """The attempts in short, and the calls that they took."""
    model = ScriptedModel(answers)
    attempts = await summarise(model, mug)
    return [(a.by, a.temperature, a.passes) for a in attempts], model.calls


async def test_a_good_plan_takes_one_request_with_all_that_figure_8_shows(summarise, mug):
    attempts, (call,) = await told(summarise, mug, GOOD)
    assert attempts == [("summary", 0.0, True)]
    ((message),) = call.messages
    assert message["content"].count(mug.task.instruction) == 1
    assert message["content"].count(conversation_text(mug)) == 1
    assert call.sampling.max_tokens == 200


@pytest.mark.parametrize("flaw", [TOO_SPECIFIC, UNKNOWN])
async def test_what_is_too_specific_or_impossible_is_summarised_again(summarise, mug, flaw):
    attempts, calls = await told(summarise, mug, flaw, flaw, GOOD)
    assert attempts == [("summary", 0.0, False), ("summary", 0.3, False), ("summary", 0.7, True)]
    assert len({call.messages[0]["content"] for call in calls}) == 1
    assert len({call.sampling.seed for call in calls}) == 3


async def test_temperatures_are_bounded_and_all_attempts_are_kept(summarise, mug):
    attempts, _ = await told(summarise, mug, TOO_SPECIFIC, UNKNOWN, TOO_SPECIFIC)
    assert [passes for _, _, passes in attempts] == [False, False, False]


async def test_an_overly_complex_plan_waits_for_a_person_at_once(summarise, mug):
    attempts, _ = await told(summarise, mug, TOO_COMPLEX)
    assert attempts == [("summary", 0.0, False)]


async def test_from_a_wrong_format_the_plan_is_extracted(summarise, mug):
    attempts, (_, extraction) = await told(summarise, mug, UNFORMATTED, GOOD)
    assert attempts == [("summary", 0.0, False), ("extraction", 0.0, True)]
    assert UNFORMATTED in extraction.messages[0]["content"]
    assert mug.task.instruction not in extraction.messages[0]["content"]


async def test_whatever_the_summary_was_drawn_at_its_plan_is_extracted_greedily(summarise, mug):
    attempts, calls = await told(summarise, mug, TOO_SPECIFIC, UNFORMATTED, GOOD)
    assert attempts[1:] == [("summary", 0.3, False), ("extraction", 0.0, True)]
    assert [call.sampling.temperature for call in calls] == [0.0, 0.3, 0.0]


async def test_an_extracted_plan_is_checked_as_any_other(summarise, mug):
    attempts, _ = await told(summarise, mug, UNFORMATTED, TOO_SPECIFIC, GOOD)
    assert attempts[1:] == [("extraction", 0.0, False), ("summary", 0.3, True)]


async def test_a_refusal_has_no_plan_to_extract_and_another_draw_may_not_refuse(summarise, mug):
    attempts, _ = await told(summarise, mug, REFUSAL, "none", GOOD)
    assert [passes for _, _, passes in attempts] == [False, False, True]


async def test_an_empty_answer_is_not_sent_to_extraction(summarise, mug):
    attempts, _ = await told(summarise, mug, " \n", GOOD)
    assert attempts == [("summary", 0.0, False), ("summary", 0.3, True)]


async def test_a_plan_that_was_cut_off_is_never_taken(summarise, mug):
    """Its steps read well, but nobody knows how it would have ended."""
    cut = ScriptedModel(lambda _: GOOD)
    attempts = await summarise(cut, mug, max_tokens=8)
    assert [attempt.passes for attempt in attempts] == [False] * 3
    assert "cut off after 8 tokens" in attempts[0].trouble


class SmallContext(ScriptedModel):
    """Takes so many characters."""

    def __init__(self, most):
        def answer(messages):
            if len(messages[0]["content"]) > most:
                raise ContextLimitError(f"at most {most} characters")
            return GOOD

        super().__init__(answer)


async def test_a_conversation_that_does_not_fit_is_shown_with_short_observations(
    summarise, trajectory
):
    long = trajectory("t/1", "go to desk 1", "take mug 1 from desk 1", observation="x" * 9_000)
    model = SmallContext(4_000)
    (attempt,) = await summarise(model, long)
    assert attempt.passes
    assert attempt.shortened
    assert f"Observation: {'x' * 120}…" in model.calls[-1].messages[0]["content"]


async def test_what_does_not_even_fit_shortened_waits_for_a_person(summarise, mug):
    (attempt,) = await summarise(SmallContext(10), mug)
    assert not attempt.passes
    assert "too long for the model even with observations cut short" in attempt.trouble


async def test_a_request_that_never_works_waits_while_the_server_lives(summarise, mug):
    """A content filter refuses one trajectory; the server answers others."""
    broken = ModelFault("the provider's content filter cut the reply")
    (attempt,) = await summarise(ScriptedModel([broken, "OK"]), mug)
    assert attempt.unanswered
    assert "content filter" in attempt.trouble


async def test_a_server_that_is_gone_stops_the_run_and_answers_are_kept(summarise, mug):
    gone = ModelFault("no connection")
    first = ScriptedModel([TOO_SPECIFIC, gone, gone])
    with pytest.raises(
        RunError, match="scripted gives no answers any more: no connection"
    ) as error:
        await summarise(first, mug)
    assert "run the same command again to resume" in str(error.value)
    second = ScriptedModel([GOOD])
    attempts = await summarise(second, mug)
    assert [attempt.text for attempt in attempts] == [TOO_SPECIFIC, GOOD]
    assert len(second.calls) == 1


@pytest.mark.parametrize(
    "script",
    [
        [ModelFault("content filter"), "OK"],
        [TOO_SPECIFIC, ModelFault("content filter"), "OK"],
        [ContextLimitError("too long"), ContextLimitError("too long")],
    ],
)
async def test_what_was_refused_stays_refused_once_a_planner_has_learned(summarise, mug, script):
    """Else the seed set, and all that was learned from it, would depend on a provider's mood."""
    first = await summarise(ScriptedModel(script), mug)
    assert not first[-1].passes
    assert await summarise(ScriptedModel([]), mug, asks_again=False) == first
    assert (await summarise(ScriptedModel([GOOD]), mug))[-1].passes


async def test_faults_are_retried_as_the_run_says(summarise, mug):
    model = ScriptedModel([ModelFault("busy"), ModelFault("busy"), GOOD])
    retry = RetryPolicy(attempts=3, first_wait_s=0.0)
    (attempt,) = await summarise(model, mug, retry=retry)
    assert attempt.passes


async def test_a_trajectory_without_steps_costs_nothing(summarise, trajectory):
    assert await summarise(ScriptedModel([]), trajectory("t/1")) == ()


async def test_nothing_is_asked_twice_and_tokens_count_once_more_when_remembered(
    tmp_path, mug, trajectory
):
    async def whole(model):
        with RunStore(tmp_path) as store:
            summariser = summariser_of(model, store)
            for one in (mug, trajectory("t/2", "go to desk 1", "take mug 1 from desk 1")):
                await summariser.summarise(one)
            return summariser.model.requests, summariser.model.usage

    first = await whole(ScriptedModel([TOO_SPECIFIC, GOOD, GOOD]))
    assert first[0] == 3
    assert await whole(ScriptedModel([])) == first


async def test_another_model_has_answers_of_its_own(summarise, mug):
    (one,) = await summarise(ScriptedModel([GOOD], name="one"), mug)
    other = ScriptedModel([TOO_COMPLEX], name="other")
    (another,) = await summarise(other, mug)
    assert (one.text, another.text) == (GOOD, TOO_COMPLEX)


@pytest.mark.parametrize("dialect", Dialect)
async def test_both_prompts_speak_the_dialect(summarise, mug, dialect):
    model = ScriptedModel([UNFORMATTED, GOOD])
    await summarise(model, mug, dialect=dialect)
    for call in model.calls:
        text = call.messages[0]["content"]
        other = ({*Dialect} - {dialect}).pop()
        assert f"<{dialect.value}>\nStep 1: ..." in text
        assert f"step-by-step {dialect.words}" in text
        assert other.words not in text
        assert other.value not in text


FRAGMENTS = st.sampled_from(
    [GOOD, TOO_SPECIFIC, UNKNOWN, TOO_COMPLEX, UNFORMATTED, REFUSAL, "", "Step 1: ...",
     "<meta_plan>", "</meta_plan>", "{task}", "<think>", "</think>", "1. ", "\n\n", "Action: look"]
)  # fmt: skip
ANSWERS = st.one_of(st.text(), st.lists(st.one_of(FRAGMENTS, st.text(max_size=20))).map("".join))
REPLIES = st.one_of(
    ANSWERS,
    st.just(ContextLimitError("too long")),
    st.just(ModelFault("content filter")),
)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.lists(REPLIES, max_size=7), min_size=1, max_size=4))
def test_whatever_the_model_says_every_trajectory_has_one_place_and_no_flaw_is_trained_on(
    trajectory, scripts
):
    trajectories = [
        trajectory(f"t/{number}", "go to desk 1", "take mug 1 from desk 1")
        for number in range(len(scripts))
    ]

    async def collect():
        with tempfile.TemporaryDirectory() as directory, RunStore(Path(directory)) as store:
            return {
                one.task.key: await summariser_of(Lively(script), store).summarise(one)
                for one, script in zip(trajectories, scripts, strict=True)
            }

    attempts = asyncio.run(collect())
    seeds = sort_out(trajectories, attempts, {})
    for seed in seeds.accepted:
        assert lint_plan(seed.plan, HOUSEHOLD.action_templates) == ()
    placed = [seed.task.key for seed in seeds.accepted]
    placed += [case.trajectory.task.key for case in seeds.for_review]
    assert sorted(placed) == [one.task.key for one in trajectories]
    for case in seeds.for_review:
        assert case.attempts[-1].findings


class Lively(ScriptedModel):
    """Says what the script says, always says OK, and in the end nothing more."""

    async def complete(self, messages, sampling, **options):
        if messages[0]["content"] == "Reply with: OK":
            return await ScriptedModel(["OK"]).complete(messages, sampling)
        return await super().complete(messages, sampling, **options)
