import asyncio

import pytest

from metaplan.models.contract import Sampling
from metaplan.models.local import LocalModel
from metaplan.training import ScratchSettings, create_scratch_model

WORDS = ["mug", "plate", "apple", "knife", "fridge", "drawer", "countertop", "sinkbasin"]


@pytest.fixture(scope="module")
def model_dir(tmp_path_factory):
    texts = [f"You see a {word}." for word in WORDS]
    size = ScratchSettings(hidden_size=32, layers=2, heads=2, intermediate_size=64, context=512)
    return create_scratch_model(texts, tmp_path_factory.mktemp("sessions") / "tiny", size)


async def talk(model, number, turns=6, *, keep=True, sampling=None):
    """A conversation that grows; the completions of its turns."""
    sampling = sampling or Sampling(max_tokens=12, seed=number)
    chat = [{"role": "user", "content": "You see a mug, a plate, a " + WORDS[number % 8]}]
    said = []
    for turn in range(turns):
        session = f"episode {number}" if keep else None
        [completion] = await model.complete(chat, sampling, session=session)
        said.append(completion)
        seen = " and a ".join(WORDS[(number + turn * at) % 8] for at in range(turn + 2))
        chat.append({"role": "assistant", "content": completion.text})
        chat.append({"role": "user", "content": f"You see a {seen}."})
    return said


@pytest.mark.parametrize("temperature", [0.0, 0.8])
async def test_kept_sessions_say_what_conversations_computed_anew_say(model_dir, temperature):
    model = LocalModel(model_dir)
    warm = Sampling(temperature=temperature, max_tokens=12, seed=3)
    anew = await asyncio.gather(*(talk(model, at, keep=False, sampling=warm) for at in range(20)))
    kept = await asyncio.gather(*(talk(model, at, sampling=warm) for at in range(20)))
    assert kept == anew
    await model.close()


async def test_sessions_that_lost_their_place_say_the_same(model_dir):
    roomy = LocalModel(model_dir)
    narrow = LocalModel(model_dir, max_batch=3, cache_bytes=3 * 512 * 2 * 2 * 32 * 4)
    expected = [await talk(roomy, at) for at in range(12)]
    assert await asyncio.gather(*(talk(narrow, at) for at in range(12))) == expected
    await roomy.close()
    await narrow.close()


async def test_long_prompts_are_computed_in_several_steps(model_dir, monkeypatch):
    whole = LocalModel(model_dir)
    expected = await asyncio.gather(*(talk(whole, at) for at in range(5)))
    monkeypatch.setattr("metaplan.models.local.engine._STEP_TOKENS", 7)
    pieces = LocalModel(model_dir)
    assert await asyncio.gather(*(talk(pieces, at) for at in range(5))) == expected
    await whole.close()
    await pieces.close()


async def test_two_requests_of_one_session_at_once_are_both_answered(model_dir):
    model = LocalModel(model_dir)
    chats = [[{"role": "user", "content": f"You see a {word}."}] for word in WORDS]
    greedy = Sampling(max_tokens=12)
    expected = [await model.complete(chat, greedy) for chat in chats]
    for _ in range(2):
        asked = (model.complete(chat, greedy, session="one") for chat in chats)
        assert await asyncio.gather(*asked) == expected
    await model.close()


async def test_a_session_goes_on_after_a_cancelled_turn(model_dir):
    model = LocalModel(model_dir)
    expected = await talk(model, 1, keep=False)
    chat = [{"role": "user", "content": "You see a mug, a plate, a " + WORDS[1]}]
    long = asyncio.ensure_future(
        model.complete(chat, Sampling(max_tokens=400), session="episode 1")
    )
    await asyncio.sleep(0.05)
    long.cancel()
    assert await talk(model, 1) == expected
    await model.close()
