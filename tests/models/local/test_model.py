import asyncio
import json
from itertools import permutations

import pytest

from metaplan.core import ContextLimitError, DataError, MetaPlan, ModelFault
from metaplan.models.contract import ChatModel, Sampling
from metaplan.models.local import LocalModel
from metaplan.training import ScratchSettings, SftSettings, create_scratch_model, train_sft

WORDS = ["mug", "plate", "apple", "knife", "fridge", "drawer", "countertop", "sinkbasin"]
PLAN = "<meta_plan>\nStep 1: Take the mug.\nStep 2: Go to the fridge.\n</meta_plan>"
CONTEXT = 128


def chat(*words):
    listing = ", ".join(f"a {word}" for word in words)
    return [{"role": "user", "content": f"You see {listing}."}]


@pytest.fixture(scope="module")
def model_dir(tmp_path_factory):
    """A tiny model of random weights: its replies are long, varied and nearly flat."""
    texts = [PLAN, *(chat(word)[0]["content"] for word in WORDS), "You see a mug, a plate."]
    size = ScratchSettings(
        hidden_size=32, layers=2, heads=2, intermediate_size=64, context=CONTEXT, seed=5
    )
    return create_scratch_model(texts, tmp_path_factory.mktemp("local") / "tiny", size)


@pytest.fixture
async def model(model_dir):
    model = LocalModel(model_dir)
    yield model
    await model.close()


PROMPTS = [chat(*WORDS[: size + 1]) for size in range(len(WORDS))]
WARM = Sampling(temperature=0.8, top_p=0.95, max_tokens=20, seed=7)


async def test_is_a_chat_model(model, model_dir):
    assert isinstance(model, ChatModel)
    assert model.name == "tiny"
    assert model.can_continue


async def test_greedy_batch_equals_generate_one_by_one(model, model_dir):
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    reference = AutoModelForCausalLM.from_pretrained(model_dir)
    tokenizer = AutoTokenizer.from_pretrained(model_dir)
    greedy = Sampling(max_tokens=24)
    batched = await asyncio.gather(*(model.complete(prompt, greedy) for prompt in PROMPTS))
    for prompt, [completion] in zip(PROMPTS, batched, strict=True):
        inputs = tokenizer.apply_chat_template(
            prompt, add_generation_prompt=True, return_tensors="pt", return_dict=True
        )
        with torch.inference_mode():
            ids = reference.generate(**inputs, do_sample=False, max_new_tokens=24)[0]
        new = ids[inputs["input_ids"].shape[1] :]
        assert completion.text == tokenizer.decode(new, skip_special_tokens=True)
        assert completion.usage.prompt_tokens == inputs["input_ids"].shape[1]
        assert completion.usage.completion_tokens == len(new)


async def test_seeded_draws_do_not_depend_on_batch_mates(model):
    alone = [await model.complete(prompt, WARM, n=2) for prompt in PROMPTS]
    others = [Sampling(temperature=1.5, max_tokens=at + 1, seed=at) for at in range(30)]
    together, _ = await asyncio.gather(
        asyncio.gather(*(model.complete(prompt, WARM, n=2) for prompt in PROMPTS)),
        asyncio.gather(*(model.complete(PROMPTS[0], other) for other in others)),
    )
    assert together == alone


async def test_samples_of_one_seed_differ_and_of_another_seed_too(model):
    first = await model.complete(PROMPTS[0], WARM, n=4)
    other = await model.complete(PROMPTS[0], WARM.model_copy(update={"seed": 8}), n=4)
    assert len({completion.text for completion in (*first, *other)}) == 8


async def test_unseeded_draws_differ(model):
    unseeded = WARM.model_copy(update={"seed": None})
    first = await model.complete(PROMPTS[0], unseeded)
    assert first != await model.complete(PROMPTS[0], unseeded)


async def test_temperature_zero_gives_equal_samples(model):
    completions = await model.complete(PROMPTS[0], Sampling(max_tokens=8, seed=1), n=3)
    assert len(completions) == 3
    assert len({completion.text for completion in completions}) == 1


async def test_tiny_nucleus_is_greedy(model):
    greedy = await model.complete(PROMPTS[0], Sampling(max_tokens=16))
    narrow = Sampling(temperature=1.0, top_p=1e-6, max_tokens=16, seed=3)
    assert await model.complete(PROMPTS[0], narrow) == greedy


async def test_draws_follow_the_models_distribution(model, model_dir):
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    prompt, draws = PROMPTS[0], 2000
    sampling = Sampling(temperature=0.7, max_tokens=1, seed=0)
    drawn = await model.complete(prompt, sampling, n=draws)
    tokenizer = AutoTokenizer.from_pretrained(model_dir)
    ids = tokenizer.apply_chat_template(
        prompt, add_generation_prompt=True, return_tensors="pt", return_dict=True
    )
    with torch.inference_mode():
        logits = AutoModelForCausalLM.from_pretrained(model_dir)(**ids).logits[0, -1]
    expected = (logits / 0.7).softmax(-1)
    likeliest = int(expected.argmax())
    share = sum(one.text == tokenizer.decode([likeliest]) for one in drawn) / draws
    margin = 4 * (float(expected[likeliest]) * (1 - float(expected[likeliest])) / draws) ** 0.5
    assert share == pytest.approx(float(expected[likeliest]), abs=margin)


async def test_stop_string_ends_generation_early_and_is_cut(model):
    [whole] = await model.complete(PROMPTS[0], Sampling(max_tokens=40))
    stop = whole.text[len(whole.text) // 2 :][:3]
    [cut] = await model.complete(PROMPTS[0], Sampling(max_tokens=40, stop=("never", stop)))
    assert cut.text == whole.text[: whole.text.index(stop)]
    assert cut.finish_reason == "stop"
    assert cut.usage.completion_tokens < whole.usage.completion_tokens


async def test_max_tokens_is_exact_and_told_as_length(model):
    [completion] = await model.complete(PROMPTS[0], Sampling(max_tokens=3))
    assert completion.finish_reason == "length"
    assert completion.usage.completion_tokens == 3


async def test_context_limit_counts_prompt_and_max_tokens(model):
    prompt = PROMPTS[0]
    room = CONTEXT - len(model.prompt_tokens(prompt))
    assert await model.complete(prompt, Sampling(max_tokens=room))
    with pytest.raises(ContextLimitError, match="context of tiny, 128 tokens"):
        await model.complete(prompt, Sampling(max_tokens=room + 1))


async def test_fifty_requests_at_once_are_each_answered_with_their_own(model_dir):
    model = LocalModel(model_dir, max_batch=16)
    prompts = [PROMPTS[at % len(PROMPTS)] for at in range(50)]
    greedy = Sampling(max_tokens=12)
    answers = await asyncio.gather(*(model.complete(prompt, greedy) for prompt in prompts))
    expected = [await model.complete(prompt, greedy) for prompt in PROMPTS]
    assert answers == [expected[at % len(PROMPTS)] for at in range(50)]
    await model.close()


async def test_event_loop_runs_on_while_generating(model):
    ticks = 0
    request = asyncio.ensure_future(model.complete(PROMPTS[-1], Sampling(max_tokens=60), n=32))
    while not request.done():
        await asyncio.sleep(0.001)
        ticks += 1
    assert ticks > 5


async def test_cancelled_request_is_dropped_and_others_go_on(model):
    long = asyncio.ensure_future(model.complete(PROMPTS[0], Sampling(max_tokens=90), n=8))
    await asyncio.sleep(0.02)
    long.cancel()
    assert await model.complete(PROMPTS[1], Sampling(max_tokens=4))
    with pytest.raises(asyncio.CancelledError):
        await long


async def test_closed_model_refuses_and_closes_twice(model_dir):
    model = LocalModel(model_dir)
    pending = asyncio.ensure_future(model.complete(PROMPTS[0], Sampling(max_tokens=4)))
    await asyncio.sleep(0)
    await model.close()
    await model.close()
    with pytest.raises(ModelFault, match="closed"):
        await model.complete(PROMPTS[0], Sampling(max_tokens=4))
    assert (await asyncio.gather(pending, return_exceptions=True))[0] is not None


async def test_engine_failure_is_a_model_fault_and_the_next_request_works(model, monkeypatch):
    def broken(*_args):
        raise RuntimeError("out of memory")

    with monkeypatch.context() as patch:
        patch.setattr("metaplan.models.local.drawing.Drawer.draw", broken)
        with pytest.raises(ModelFault, match="RuntimeError: out of memory"):
            await model.complete(PROMPTS[0], Sampling(max_tokens=4))
    assert await model.complete(PROMPTS[0], Sampling(max_tokens=4))


async def test_beginning_of_a_reply_is_continued(model_dir, tmp_path):
    data = tmp_path / "data.jsonl"
    lines = [
        {"prompt": chat(word), "completion": [{"role": "assistant", "content": PLAN}]}
        for word in WORDS
    ]
    data.write_text("".join(json.dumps(line) + "\n" for line in lines))
    settings = SftSettings(epochs=20, batch_size=8, per_device_batch_size=8, learning_rate=1e-2)
    trained = LocalModel(train_sft(model_dir, data, tmp_path / "m", settings).model)
    sampling = Sampling(max_tokens=60)
    [whole] = await trained.complete(chat("mug"), sampling)
    assert whole.text == PLAN
    assert whole.finish_reason == "stop"
    beginning, rest = PLAN[:19], PLAN[19:]
    said = [*chat("mug"), {"role": "assistant", "content": beginning}]
    assert (await trained.complete(said, sampling))[0].text == rest

    # What training showed the model is, token for token, what it reads and writes here.
    tokenizer = trained._tokenizer
    trained_on = tokenizer.apply_chat_template(
        [*chat("mug"), {"role": "assistant", "content": PLAN}], return_dict=False
    )
    written = tokenizer(PLAN)["input_ids"] + [tokenizer.eos_token_id]
    assert trained_on == trained.prompt_tokens(chat("mug")) + written
    assert whole.usage.completion_tokens == len(written)
    await trained.close()


@pytest.mark.parametrize("cache_bytes", [2 << 30, 0], ids=["packed", "plain"])
async def test_a_planner_that_walks_in_circles_says_each_step_once(tmp_path, cache_bytes):
    ways = [(*order, order[0]) for order in permutations(WORDS[:5], 3)]
    circles = [MetaPlan(steps=tuple(f"Go to the {place}." for place in way)) for way in ways]
    lines = [
        {"prompt": chat("mug"), "completion": [{"role": "assistant", "content": plan.tagged()}]}
        for plan in circles
    ]
    data = tmp_path / "data.jsonl"
    data.write_text("".join(json.dumps(line) + "\n" for line in lines))
    texts = [chat("mug")[0]["content"], *(plan.tagged() for plan in circles)]
    size = ScratchSettings(hidden_size=32, layers=1, heads=2)
    base = create_scratch_model(texts, tmp_path / "base", size)
    settings = SftSettings(epochs=20, batch_size=10, per_device_batch_size=10, learning_rate=1e-2)
    trained = train_sft(base, data, tmp_path / "m", settings).model
    model = LocalModel(trained, cache_bytes=cache_bytes)

    async def plans(sampling):
        completions = await model.complete(chat("mug"), sampling, n=20)
        again = await model.complete(chat("mug"), sampling, n=20)  # with guesses of what comes
        assert again == completions
        return {MetaPlan.parse(completion.text) for completion in completions}

    free = Sampling(temperature=0.5, max_tokens=120, seed=0)
    assert any(plan != plan.without_repeats() for plan in await plans(free))
    for temperature in (0.0, 0.5):
        bound = {"temperature": temperature, "distinct_steps": True}
        for plan in await plans(free.model_copy(update=bound)):
            assert plan == plan.without_repeats()
    await model.close()


async def test_fingerprint_follows_the_weights(model, model_dir, tmp_path):
    other_dir = create_scratch_model(
        [PLAN], tmp_path / "m", ScratchSettings(hidden_size=32, layers=1, heads=2, seed=6)
    )
    other, same = LocalModel(other_dir), LocalModel(model_dir, name="twin")
    assert same.fingerprint == model.fingerprint
    assert other.fingerprint != model.fingerprint
    await other.close()
    await same.close()


def test_directory_without_a_model_is_refused(tmp_path):
    with pytest.raises(DataError, match="no model here"):
        LocalModel(tmp_path)
