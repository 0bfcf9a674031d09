"""Every kind of model says, turn after turn, what transformers' own generation says."""

import pytest
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    Gemma2Config,
    GemmaConfig,
    GPT2Config,
    GPTNeoXConfig,
    LlamaConfig,
    MistralConfig,
    OPTConfig,
    Qwen2Config,
)

from metaplan.models.contract import Sampling
from metaplan.models.local import LocalModel
from metaplan.models.local.cache import Extent
from metaplan.models.local.engine import PackedEngine
from metaplan.models.local.packed import News, PackedModel
from metaplan.models.local.plain import PlainEngine
from metaplan.training import ScratchSettings, create_scratch_model

WORDS = ["mug", "plate", "apple", "knife", "fridge", "drawer", "countertop", "sinkbasin"]
SIZE = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "max_position_embeddings": 256,
}
GROUPED = SIZE | {"num_key_value_heads": 2, "head_dim": 8}
DYNAMIC = {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 10000.0}
PACKED = {
    "llama": LlamaConfig(**SIZE),
    "grouped llama": LlamaConfig(**GROUPED),
    "qwen2": Qwen2Config(**SIZE | {"num_key_value_heads": 1}),
    "gpt-neox": GPTNeoXConfig(**SIZE),
    "gemma": GemmaConfig(**GROUPED),
    "mistral": MistralConfig(**GROUPED, sliding_window=None),
}
PLAIN = {
    "sliding mistral": MistralConfig(**GROUPED, sliding_window=16),
    "gemma2": Gemma2Config(**GROUPED, sliding_window=16),
    "dynamic llama": LlamaConfig(**SIZE, rope_parameters=DYNAMIC),
}
# Whether their code passes on what the packed way needs is up to transformers.
EITHER = {
    "gpt2": GPT2Config(n_embd=32, n_layer=2, n_head=4, n_positions=256),
    "opt": OPTConfig(**SIZE, ffn_dim=64, word_embed_proj_dim=32),
}


@pytest.fixture(scope="module")
def tokenizer_dir(tmp_path_factory):
    texts = [f"You see a {word}." for word in WORDS]
    small = ScratchSettings(hidden_size=32, layers=1, heads=2)
    return create_scratch_model(texts, tmp_path_factory.mktemp("packed") / "tokenizer", small)


@pytest.fixture
def make_model(tokenizer_dir, tmp_path):
    def make(config):
        import torch

        tokenizer = AutoTokenizer.from_pretrained(tokenizer_dir)
        config.vocab_size = len(tokenizer)
        config.bos_token_id, config.pad_token_id = None, tokenizer.pad_token_id
        config.eos_token_id = tokenizer.eos_token_id
        config.initializer_range = 0.3  # else all tokens are about equally likely
        torch.manual_seed(1)
        AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path)
        tokenizer.save_pretrained(tmp_path)
        return tmp_path

    return make


def said_by_transformers(directory, messages, tokens):
    import torch

    tokenizer = AutoTokenizer.from_pretrained(directory)
    model = AutoModelForCausalLM.from_pretrained(directory)
    inputs = tokenizer.apply_chat_template(
        messages, add_generation_prompt=True, return_tensors="pt", return_dict=True
    )
    with torch.inference_mode():
        ids = model.generate(**inputs, do_sample=False, max_new_tokens=tokens)[0]
    return tokenizer.decode(ids[inputs["input_ids"].shape[1] :], skip_special_tokens=True)


async def check_turns(model, directory):
    messages = [{"role": "user", "content": "You see a mug, a plate."}]
    for turn in range(3):
        [completion] = await model.complete(messages, Sampling(max_tokens=10), session="one")
        assert completion.text == said_by_transformers(directory, messages, 10)
        messages.append({"role": "assistant", "content": completion.text})
        messages.append({"role": "user", "content": f"You see a {WORDS[turn]} and a fridge."})


@pytest.mark.parametrize("kind", PACKED)
async def test_models_that_attend_to_everything_keep_their_sessions(kind, make_model):
    directory = make_model(PACKED[kind])
    model = LocalModel(directory)
    assert isinstance(model._workers[0].engine, PackedEngine)
    await check_turns(model, directory)
    await model.close()


@pytest.mark.parametrize("kind", PLAIN)
async def test_other_models_compute_every_turn_anew(kind, make_model):
    directory = make_model(PLAIN[kind])
    model = LocalModel(directory)
    assert isinstance(model._workers[0].engine, PlainEngine)
    await check_turns(model, directory)
    await model.close()


@pytest.mark.parametrize("kind", EITHER)
async def test_whichever_way_is_chosen_is_right(kind, make_model):
    directory = make_model(EITHER[kind])
    model = LocalModel(directory)
    await check_turns(model, directory)
    await model.close()


@pytest.mark.parametrize("kind", ["llama", "grouped llama", "qwen2"])
def test_a_padded_batch_gives_what_row_by_row_gives(kind, make_model):
    import torch

    directory = make_model(PACKED[kind])
    logits = []
    for batched in (False, True):
        model = AutoModelForCausalLM.from_pretrained(directory)
        packed = PackedModel(model, context=64, memory_bytes=1 << 20, batched=batched)
        extents = [Extent(64 * at, 64) for at in range(4)]
        news = [list(range(5, 10 + 7 * at)) for at in range(4)]
        found = [packed.compute([News(extents[at], news[at]) for at in range(3)])]
        # Conversations that go on with one token, with several, and one that begins.
        ways = [[3], [4, 5, 6], [7], news[3]]
        found.append(packed.compute([News(*way) for way in zip(extents, ways, strict=True)]))
        found.append(packed.compute([News(extent, [8]) for extent in extents]))
        logits.append(torch.cat(found))
    torch.testing.assert_close(*logits, rtol=1e-4, atol=1e-4)


async def test_a_context_beyond_the_memory_is_computed_anew(make_model):
    directory = make_model(PACKED["llama"])
    model = LocalModel(directory, cache_bytes=0)
    assert isinstance(model._workers[0].engine, PlainEngine)
    await check_turns(model, directory)
    await model.close()
