import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenizers import (
    AddedToken,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    trainers,
)
from transformers import PreTrainedTokenizerFast

from metaplan.models.local.chat import ChatTokens
from metaplan.training.scratch import CHAT_TEMPLATE

TEXTS = ["You see a mug, a plate and an apple.", "Thought: I go.\nAction: go to shelf 1", "a  b"]
SPACED_TEMPLATE = (
    "<s>{% for message in messages %}<|{{ message['role'] }}|>\n {{ message['content'] | trim }} "
    "<|end|>\n{% endfor %}{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
)
# Looks at all messages: an earlier turn is rendered otherwise once there is a later one.
FORGETFUL_TEMPLATE = (
    "{% for message in messages %}<|{{ message['role'] }}|>"
    "{% if loop.last or message['role'] == 'user' %}{{ message['content'] }}"
    "{% else %}{{ message['content'].split('\n')[-1] }}{% endif %}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
SPECIAL = ("<s>", "<|end|>", "<|user|>", "<|assistant|>", "<|end|>!")


def bytes_tokenizer():
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    return tokenizer, trainers.BpeTrainer(vocab_size=400, initial_alphabet=alphabet)


def first_metaspace_tokenizer():
    tokenizer = Tokenizer(models.BPE(unk_token="?"))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
    return tokenizer, trainers.BpeTrainer(vocab_size=300, special_tokens=["?"])


def prepending_tokenizer():
    tokenizer = Tokenizer(models.BPE(unk_token="?"))
    steps = [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    tokenizer.normalizer = normalizers.Sequence(steps)
    return tokenizer, trainers.BpeTrainer(vocab_size=300, special_tokens=["?"])


@pytest.fixture(
    scope="module",
    params=[bytes_tokenizer, first_metaspace_tokenizer, prepending_tokenizer],
    ids=lambda make: make.__name__,
)
def tokenizer(request):
    tokenizer, trainer = request.param()
    tokenizer.train_from_iterator(TEXTS * 3, trainer)
    tokenizer.add_special_tokens([AddedToken(word, special=True) for word in SPECIAL])
    # Such a token takes the space around it: no place to cut at.
    tokenizer.add_special_tokens([AddedToken("<greedy>", special=True, lstrip=True, rstrip=True)])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|end|>")


CONTENT = st.lists(
    st.sampled_from([*TEXTS, *SPECIAL, "<greedy>", " ", "\n", "!", "é", "Action: look", ""]),
    max_size=5,
).map("".join)


@pytest.mark.parametrize("template", [CHAT_TEMPLATE, SPACED_TEMPLATE, FORGETFUL_TEMPLATE])
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(contents=st.lists(CONTENT, min_size=1, max_size=7), rewritten=st.integers(0, 6))
def test_a_growing_chat_is_tokenised_as_if_it_were_new(tokenizer, template, contents, rewritten):
    tokenizer.chat_template = template
    chat = ChatTokens(tokenizer)
    roles = ("user", "assistant")
    messages = [
        {"role": roles[at % 2], "content": content or "x"} for at, content in enumerate(contents)
    ]
    for turn in range(0, len(messages), 2):
        if turn == rewritten:  # the same session may even begin otherwise
            messages[0] = {"role": "user", "content": "You see a cup."}
        prompt = messages[: turn + 1]
        expected = tokenizer.apply_chat_template(
            prompt, add_generation_prompt=True, return_dict=False
        )
        assert chat.prompt(prompt, "one session") == expected


def test_only_what_is_new_is_tokenised(tokenizer):
    tokenizer.chat_template = CHAT_TEMPLATE
    chat = ChatTokens(tokenizer)
    encoded = []
    encode = chat._encode
    chat._encode = lambda text: encoded.append(text) or encode(text)
    messages = [{"role": "user", "content": TEXTS[0]}]
    chat.prompt(messages, "a")
    messages += [{"role": "assistant", "content": TEXTS[1]}, {"role": "user", "content": TEXTS[2]}]
    chat.prompt(messages, "a")
    chat.prompt(messages, "another")
    whole = "<|user|>" + TEXTS[0] + "<|end|><|assistant|>"
    new = "<|assistant|>" + TEXTS[1] + "<|end|><|user|>" + TEXTS[2] + "<|end|><|assistant|>"
    assert encoded == [whole, new, whole.removesuffix("<|assistant|>") + new]
