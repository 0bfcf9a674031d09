import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from metaplan.core import ConfigError, DataError, MetaPlan
from metaplan.training import ScratchSettings, create_scratch_model

TASK = (
    "You are in the middle of a room. Looking quickly around you, you see a cabinet 14, a fridge 1,"
    " and a toaster 1.\n\nYour task is to: put a clean mug in fridge."
)
PLAN = MetaPlan(
    steps=("Go to the cabinet.", "Take the mug.", "Put the mug in/on the fridge.")
).tagged()
SMALL = ScratchSettings(hidden_size=16, layers=1, heads=2, intermediate_size=16, context=128)


@pytest.fixture(scope="module")
def model_dir(tmp_path_factory):
    return create_scratch_model([TASK, PLAN], tmp_path_factory.mktemp("scratch") / "m", SMALL)


@pytest.fixture(scope="module")
def tokenizer(model_dir):
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(model_dir)


@pytest.mark.parametrize("text", [PLAN, TASK, " Go to the mug.\n\n Take   the fridge. "])
def test_known_text_survives_encoding(tokenizer, text):
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text


WORDS = st.sampled_from(
    ["mug", "fridge", "Step", "cabinet", ",", ".", ":", "\n", " ", "<meta_plan>"]
)


@settings(max_examples=100, deadline=None)
@given(pieces=st.lists(st.one_of(WORDS, st.integers(0, 999).map(str))))
def test_decoding_gives_back_spaces_newlines_and_numbers(tokenizer, pieces):
    known = [f" {piece}" if piece.isalpha() and piece != "Step" else piece for piece in pieces]
    text = "".join(known).replace("<unk>", "")
    ids = tokenizer(text)["input_ids"]
    if tokenizer.unk_token_id not in ids:
        assert tokenizer.decode(ids) == text


def test_numbers_and_tags_are_never_unknown(tokenizer):
    ids = tokenizer("<meta_plan>\nStep 9876543210: Go\n</meta_plan>")["input_ids"]
    assert tokenizer.unk_token_id not in ids
    assert len(tokenizer("</meta_plan>")["input_ids"]) == 1


def test_numbered_thing_is_one_token_where_known_and_falls_apart_where_not(tokenizer):
    def pieces(text):
        return [tokenizer.decode([token]) for token in tokenizer(text)["input_ids"]]

    assert pieces(" see a cabinet 14, a fridge 1") == [" see", " a cabinet 14", ", a fridge 1"]
    assert pieces(" a cabinet 27") == [" a", " cabinet", " 2", "7"]
    assert pieces(" in fridge.") == [" in", " fridge", "."]


def test_unknown_word_is_one_unknown_token(tokenizer):
    assert tokenizer(" zebra")["input_ids"] == [tokenizer.unk_token_id]


def test_model_loads_as_any_causal_model_and_samples_on_servers(model_dir):
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(model_dir)
    assert model.generation_config.do_sample is True
    assert model.config.max_position_embeddings == SMALL.context
    assert {path.suffix for path in model_dir.iterdir()} == {".json", ".jinja", ".safetensors"}


def test_default_size_is_under_a_million_parameters(tmp_path):
    from safetensors import safe_open

    out = create_scratch_model([TASK], tmp_path / "m", ScratchSettings())
    with safe_open(out / "model.safetensors", "np") as weights:
        count = sum(weights.get_tensor(key).size for key in weights.keys())  # noqa: SIM118
    assert 0.3e6 < count < 1e6


def test_equal_texts_and_settings_give_equal_files(model_dir, tmp_path):
    again = create_scratch_model([TASK, PLAN], tmp_path / "m", SMALL)
    other = create_scratch_model([TASK, PLAN], tmp_path / "n", SMALL.model_copy(update={"seed": 1}))
    for name in ("model.safetensors", "tokenizer.json"):
        assert (again / name).read_bytes() == (model_dir / name).read_bytes()
    weights = "model.safetensors"
    assert (other / weights).read_bytes() != (model_dir / weights).read_bytes()


def test_final_message_can_be_continued(tokenizer):
    messages = [
        {"role": "user", "content": TASK},
        {"role": "assistant", "content": "<meta_plan>\n"},
    ]
    text = tokenizer.apply_chat_template(messages, tokenize=False, continue_final_message=True)
    assert text.endswith("<|assistant|><meta_plan>\n")


def test_vocabulary_keeps_the_most_frequent_words(tmp_path):
    from transformers import AutoTokenizer

    small = SMALL.model_copy(update={"vocabulary_size": 32})
    out = create_scratch_model(["mug mug mug " + TASK], tmp_path / "m", small)
    tokenizer = AutoTokenizer.from_pretrained(out)
    assert len(tokenizer) == 32
    assert tokenizer.unk_token_id not in tokenizer(" mug")["input_ids"]


def test_bad_sizes_and_empty_texts_are_refused(tmp_path):
    with pytest.raises(DataError, match="empty"):
        create_scratch_model([], tmp_path / "m", SMALL)
    with pytest.raises(ConfigError, match="hidden_size is 20"):
        create_scratch_model(
            [TASK], tmp_path / "m", ScratchSettings(hidden_size=20, heads=4, layers=1)
        )


EPISODE = [
    "You are in a room. You see a cabinet 14, a shelf 2, a shelf 1, and a mug 1.\n"
    "Your task is to: find two mugs and put them in shelf.\n\nStep 1: Go to the shelf.",
    "Thought: A mug is often in the cabinet. I look at cabinet 14.\nAction: go to cabinet 14",
    "Observation: You arrive at cabinet 14. In the cabinet 14, you see a mug 1.",
    "Thought: A mug is often in the shelf. I look at shelf 2.\nAction: go to shelf 2",
    "Observation: You arrive at shelf 2. In the shelf 2, you see nothing.",
    "Thought: I need to find two mugs and put them in the shelf.\nAction: go to shelf 1",
    "Thought: I need to find two mugs and put them in the cabinet.\nAction: go to shelf 1",
]
AGENT = SMALL.model_copy(update={"pieces": "phrases"})


@pytest.fixture(scope="module")
def agent_tokenizer(tmp_path_factory):
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(
        create_scratch_model(EPISODE, tmp_path_factory.mktemp("agent") / "m", AGENT)
    )


def pieces_of(tokenizer, text):
    return [tokenizer.decode([token]) for token in tokenizer(text)["input_ids"]]


def test_phrases_join_what_stands_between_things(agent_tokenizer):
    pieces = pieces_of(agent_tokenizer, EPISODE[3])
    assert "".join(pieces) == EPISODE[3]
    copied = [piece for piece in pieces if "shelf" in piece]
    assert copied == [" shelf", " shelf 2", " shelf 2"]
    assert ".\nAction: go to" in pieces
    assert len(pieces) < 10


def test_a_thing_is_the_same_token_wherever_it_stands_and_another_than_its_kind(agent_tokenizer):
    for text in EPISODE:
        pieces = pieces_of(agent_tokenizer, text)
        assert "".join(pieces) == text
        named = [piece for piece in pieces if "shelf" in piece or "mug" in piece]
        assert set(named) <= {" shelf", " shelf 1", " shelf 2", " mug", " mugs", " mug 1"}


def test_a_thing_with_an_unseen_number_falls_apart(agent_tokenizer):
    pieces = pieces_of(agent_tokenizer, " shelf 305")
    assert "".join(pieces) == " shelf 305"
    assert pieces[0] == " shelf"


def test_half_of_an_agents_heads_look_at_equal_words_from_the_start(tmp_path):
    from transformers import AutoModelForCausalLM

    out = create_scratch_model(EPISODE, tmp_path / "m", AGENT)
    for layer in AutoModelForCausalLM.from_pretrained(out).model.layers:
        query, key = layer.self_attn.q_proj.weight, layer.self_attn.k_proj.weight
        half = len(query) // 2
        assert query[:half].equal(key[:half])
        assert not query[half:].equal(key[half:])


def test_a_thing_begins_near_its_kind_and_far_from_others(tmp_path):
    from torch import cosine_similarity
    from transformers import AutoModelForCausalLM, AutoTokenizer

    out = create_scratch_model(EPISODE, tmp_path / "m", AGENT)
    tokens = AutoTokenizer.from_pretrained(out).get_vocab()
    words = AutoModelForCausalLM.from_pretrained(out).get_input_embeddings().weight

    def alike(one: str, other: str) -> float:
        return float(cosine_similarity(words[tokens[one]], words[tokens[other]], dim=0).detach())

    assert alike(" shelf 2", " shelf") > 0.5
    assert alike(" shelf 2", " shelf 1") > alike(" shelf 2", " cabinet 14")


def test_phrase_of_more_than_a_hundred_letters_is_one_token(tmp_path):
    from transformers import AutoTokenizer

    sentence = "Reply with a thought and one action each turn, and say what you see there, " * 2
    texts = [f"{sentence}shelf 1", f"{sentence}mug 1", f"{sentence}mug 2"]
    tokenizer = AutoTokenizer.from_pretrained(create_scratch_model(texts, tmp_path / "m", AGENT))
    assert len(tokenizer(texts[0])["input_ids"]) < 6
    assert tokenizer.decode(tokenizer(texts[0])["input_ids"]) == texts[0]


FRAGMENTS = st.sampled_from(
    [" shelf", " 2", " mugs", ". In the", ".\nAction: go to", "Thought:", ", you see a", " A", "\n"]
)


@settings(max_examples=200, deadline=None)
@given(
    known=st.lists(
        st.one_of(FRAGMENTS, st.integers(0, 999).map(str), st.text(" .,:\nin", max_size=4))
    )
)
def test_decoding_gives_back_texts_made_of_phrases(agent_tokenizer, known):
    text = "".join(known)
    ids = agent_tokenizer(text)["input_ids"]
    if agent_tokenizer.unk_token_id not in ids:
        assert agent_tokenizer.decode(ids) == text
