import asyncio

import pytest

from metaplan.models.contract import Sampling
from metaplan.models.local import LocalModel
from metaplan.models.local.drafts import Drafts
from metaplan.training import ScratchSettings, create_scratch_model

WORDS = ["mug", "plate", "apple", "knife", "fridge", "drawer", "countertop", "sinkbasin"]


def learned(tokens):
    drafts = Drafts()
    for at in range(1, len(tokens)):
        drafts.learn(tokens[:at], tokens[at])
    return drafts


def test_what_was_said_is_guessed_as_far_as_it_goes():
    drafts = learned([1, 2, 3, 4, 5, 6])
    assert drafts.guess([9, 1, 2, 3], 8) == [4, 5, 6]
    assert drafts.guess([1, 2, 3], 2) == [4, 5]
    assert drafts.guess([3, 2, 1], 8) == []
    assert drafts.guess([1, 2, 3], -1) == []


def test_a_guess_that_fails_is_forgotten_and_then_replaced():
    drafts = learned([2, 3, 4])
    drafts.learn([2, 3], 7)
    assert drafts.guess([2, 3], 1) == []
    drafts.learn([2, 3], 7)
    assert drafts.guess([2, 3], 1) == [7]


def test_the_longest_context_that_was_seen_decides():
    drafts = learned([8, 2, 3, 4, 5])
    drafts.learn([9, 2, 3], 7)
    assert drafts.guess([8, 2, 3], 1) == [4]
    assert drafts.guess([9, 2, 3], 1) == [7]


def test_more_contexts_than_are_kept_make_room(monkeypatch):
    monkeypatch.setattr("metaplan.models.local.drafts._CONTEXTS", 8)
    drafts = learned(list(range(100)))
    assert len(drafts._next) < 8 + 5
    assert drafts.guess([97, 98], 1) == [99]


@pytest.fixture(scope="module")
def model_dir(tmp_path_factory):
    texts = [f"You see a {word}." for word in WORDS]
    size = ScratchSettings(hidden_size=32, layers=2, heads=2, intermediate_size=64, context=256)
    return create_scratch_model(texts, tmp_path_factory.mktemp("drafts") / "tiny", size)


SAMPLINGS = [
    Sampling(max_tokens=40),
    Sampling(temperature=0.05, max_tokens=30, seed=1),  # says much the same again and again
    Sampling(temperature=0.7, max_tokens=30, seed=2, top_p=0.9),
    Sampling(max_tokens=40, stop=(" mug", ".")),
    Sampling(max_tokens=1),
    Sampling(max_tokens=2),
]


async def test_guesses_save_steps_and_change_no_completion(model_dir, monkeypatch):
    async def all_said(most):
        monkeypatch.setattr("metaplan.models.local.engine._MOST_GUESSED", most)
        model = LocalModel(model_dir)
        steps = 0
        step = model._workers[0].engine.step

        def counted():
            nonlocal steps
            steps += 1
            step()

        monkeypatch.setattr(model._workers[0].engine, "step", counted)
        said = []
        for _ in range(3):
            for sampling in SAMPLINGS:
                chats = [[{"role": "user", "content": f"You see a {word}."}] for word in WORDS]
                asked = (model.complete(chat, sampling, n=2) for chat in chats)
                said.append(await asyncio.gather(*asked))
        await model.close()
        return said, steps

    unguessed, steps = await all_said(0)
    guessed, fewer = await all_said(8)
    assert guessed == unguessed
    assert fewer < 0.8 * steps
