import pytest

from metaplan.core import ModelFault
from metaplan.models.contract import ChatModel, Sampling
from metaplan.models.scripted import ScriptedModel

ASK = [{"role": "user", "content": "one two three"}]


def test_it_is_a_chat_model():
    assert isinstance(ScriptedModel([]), ChatModel)


async def test_a_list_is_answered_in_order_and_one_answer_per_completion():
    model = ScriptedModel(["a", "b", "c"])
    first = await model.complete(ASK, Sampling(), n=2)
    second = await model.complete(ASK, Sampling())
    assert [c.text for c in first + second] == ["a", "b", "c"]


async def test_a_list_used_up_is_a_model_fault():
    model = ScriptedModel(["a"], name="short")
    await model.complete(ASK, Sampling())
    with pytest.raises(ModelFault, match="short"):
        await model.complete(ASK, Sampling())


async def test_an_exception_in_the_list_is_raised_in_its_turn():
    model = ScriptedModel(["a", ModelFault("outage"), "b"])
    assert (await model.complete(ASK, Sampling()))[0].text == "a"
    with pytest.raises(ModelFault, match="outage"):
        await model.complete(ASK, Sampling())
    assert (await model.complete(ASK, Sampling()))[0].text == "b"


async def test_a_function_sees_the_messages():
    model = ScriptedModel(lambda messages: messages[-1]["content"].upper())
    assert (await model.complete(ASK, Sampling()))[0].text == "ONE TWO THREE"


async def test_calls_are_recorded_as_they_were_made():
    model = ScriptedModel(["a", "b"])
    await model.complete(ASK, Sampling(temperature=0.7, seed=3), n=2, session="s")
    (call,) = model.calls
    assert call.messages == tuple(ASK)
    assert (call.sampling.seed, call.n, call.session) == (3, 2, "s")


async def test_stop_strings_and_length_limit_cut_the_answer():
    model = ScriptedModel(["Action: look\nObservation: x", "one two three"])
    stopped = (await model.complete(ASK, Sampling(stop=("\nObservation:",))))[0]
    assert (stopped.text, stopped.finish_reason) == ("Action: look", "stop")
    cut = (await model.complete(ASK, Sampling(max_tokens=2)))[0]
    assert (cut.text, cut.finish_reason) == ("one two", "length")
    assert (cut.usage.prompt_tokens, cut.usage.completion_tokens) == (3, 2)
