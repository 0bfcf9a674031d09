"""Which tokens are trained, for chat templates of all kinds."""

import logging

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from metaplan.core import DataError
from metaplan.training.tokens import tokenise

CHATML = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
# Ends a conversation, but no prefix of one, with a token of its own; trims what is said.
PHI = (
    "{% for message in messages %}<|{{ message.role }}|>\n{{ message.content | trim }}<|end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|assistant|>\n{% else %}<|endoftext|>{% endif %}"
)
MISTRAL = (
    "<s>{% for message in messages %}{% if message.role == 'user' %}[INST] {{ message.content }} "
    "[/INST]{% else %} {{ message.content }}</s>{% endif %}{% endfor %}"
)
# Writes empty thoughts into the last turn alone.
QWEN3 = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n"
    "{% if loop.last and message.role == 'assistant' %}<think>\n\n</think>\n\n{% endif %}"
    "{{ message.content }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
# Forgets the thoughts of all turns but the last.
FORGETFUL = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n"
    "{{ message.content if loop.last else message.content.split('</think>')[-1] }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
SPECIAL = ["<s>", "</s>", "<|im_start|>", "<|im_end|>", "<|end|>", "<|endoftext|>"]
SPECIAL += ["<|user|>", "<|assistant|>", "<|system|>", "[INST]", "[/INST]"]
ENDS = {CHATML: "<|im_end|>", PHI: "<|end|>", MISTRAL: "</s>"}


def tokenizer_with(template):
    """One token a byte, so that any text can be written."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    inner = Tokenizer(models.BPE({letter: at for at, letter in enumerate(alphabet)}, []))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    inner.decoder = decoders.ByteLevel()
    inner.add_special_tokens([AddedToken(word, special=True) for word in SPECIAL])
    return PreTrainedTokenizerFast(
        tokenizer_object=inner, eos_token="</s>", pad_token="</s>", chat_template=template
    )


def user(text):
    return {"role": "user", "content": text}


def assistant(text):
    return {"role": "assistant", "content": text}


EPISODE = {
    "prompt": [user("You are in a room.\nYour task is: x.")],
    "completion": [
        assistant("Thought: I look.\nAction: go to shelf 1"),
        user("Observation: a mug 2"),
        assistant("Thought: There.\nAction: take mug 2"),
        user("Observation: Done."),
        assistant("Action: go to shelf 1"),
    ],
}
SAID = [message["content"] for message in EPISODE["completion"][::2]]


def read(examples, template, path, limit=10_000):
    tokenizer = tokenizer_with(template)
    return tokenizer, tokenise(examples, tokenizer, limit, path / "tokens")


def trained(tokenizer, row, ids="input_ids", labels="labels"):
    """Text of each unbroken run of trained tokens."""
    runs, open_run = [], False
    for token, label in zip(row[ids], row[labels], strict=True):
        assert label in (token, -100)
        if label != -100:
            runs = [*runs[:-1], [*runs[-1], token]] if open_run else [*runs, [token]]
        open_run = label != -100
    return [tokenizer.decode(run) for run in runs]


@pytest.mark.parametrize("template", [CHATML, PHI, MISTRAL], ids=["chatml", "phi", "mistral"])
def test_what_the_assistant_says_is_trained_with_its_end_and_nothing_else(template, tmp_path):
    tokenizer, (dataset, truncated) = read([EPISODE], template, tmp_path)
    assert (len(dataset), truncated) == (1, 0)
    *first, last = trained(tokenizer, dataset[0])
    end = ENDS[template]
    assert [turn.strip() for turn in (*first, last.removesuffix("\n<|endoftext|>"))] == [
        said + end for said in SAID
    ]
    whole = [*EPISODE["prompt"], *EPISODE["completion"]]
    assert dataset[0]["input_ids"] == tokenizer.apply_chat_template(whole)["input_ids"]


@pytest.mark.parametrize("template", [CHATML, FORGETFUL], ids=["chatml", "forgetful"])
def test_a_turn_of_weight_0_is_read_but_not_trained(template, tmp_path):
    slip, *rest = EPISODE["completion"]
    example = {**EPISODE, "completion": [{**slip, "weight": 0}, *rest]}
    tokenizer, (dataset, _) = read([example], template, tmp_path)
    runs = [run for row in dataset for run in trained(tokenizer, row)]
    assert [run.strip() for run in runs] == [said + "<|im_end|>" for said in SAID[1:]]
    assert slip["content"] in tokenizer.decode(dataset[-1]["input_ids"])


@pytest.mark.parametrize("template", [QWEN3, FORGETFUL], ids=["qwen3", "forgetful"])
def test_turn_that_the_template_rewrites_later_is_trained_as_it_was_read(template, tmp_path):
    thinking = {
        "prompt": EPISODE["prompt"],
        "completion": [
            assistant(f"<think>hm</think>{message['content']}")
            if message["role"] == "assistant"
            else message
            for message in EPISODE["completion"]
        ],
    }
    tokenizer, (dataset, _) = read([thinking], template, tmp_path)
    assert len(dataset) == len(SAID)
    for at, (row, said) in enumerate(zip(dataset, SAID, strict=True)):
        (turn,) = trained(tokenizer, row)
        assert turn.endswith(f"<think>hm</think>{said}<|im_end|>")
        before = [*EPISODE["prompt"], *thinking["completion"][: 2 * at]]
        prompt = tokenizer.apply_chat_template(before, add_generation_prompt=True)["input_ids"]
        assert row["input_ids"][: len(prompt)] == prompt


def test_pair_that_the_template_rewrites_is_refused(tmp_path):
    pair = {"prompt": EPISODE["prompt"], "chosen": EPISODE["completion"]}
    with pytest.raises(DataError, match=r"example 1: .*chat template writes a turn otherwise"):
        read([{**pair, "rejected": [assistant("no")]}], QWEN3, tmp_path)


def test_messages_that_the_template_refuses_are_named(tmp_path):
    strict = "{% if messages[0].role == 'system' %}{{ raise_exception('no system') }}{% endif %}"
    told = {**EPISODE, "prompt": [{"role": "system", "content": "hm"}, *EPISODE["prompt"]]}
    with pytest.raises(DataError, match=r"example 2: .*refuses the messages: no system"):
        read([EPISODE, told], CHATML + strict, tmp_path)


def test_pair_of_episodes_has_labels_on_what_was_said_alone(tmp_path):
    pair = {
        "prompt": EPISODE["prompt"],
        "chosen": EPISODE["completion"],
        "rejected": [assistant("Action: a"), user("Observation: b"), assistant("Action: c")],
    }
    tokenizer, (dataset, _) = read([pair], CHATML, tmp_path)
    assert trained(tokenizer, dataset[0], "chosen_ids", "chosen_labels") == [
        f"{said}<|im_end|>" for said in SAID
    ]
    assert trained(tokenizer, dataset[0], "rejected_ids", "rejected_labels") == [
        "Action: a<|im_end|>",
        "Action: c<|im_end|>",
    ]


def test_examples_of_the_prompt_are_not_trained(tmp_path):
    shown = [user("an example"), assistant("its answer"), *EPISODE["prompt"]]
    tokenizer, (dataset, _) = read([{**EPISODE, "prompt": shown}], CHATML, tmp_path)
    assert trained(tokenizer, dataset[0]) == [f"{said}<|im_end|>" for said in SAID]


def test_conversation_over_the_limit_loses_its_end_and_is_counted_once(tmp_path, caplog):
    _, (whole, _) = read([EPISODE], CHATML, tmp_path)
    limit = len(whole[0]["input_ids"]) - 5
    short = {"prompt": [user("a")], "completion": [assistant("b")]}
    with caplog.at_level(logging.WARNING, logger="metaplan.training"):
        _, (dataset, truncated) = read([EPISODE, short], CHATML, tmp_path / "cut", limit)
    assert (len(dataset), truncated) == (2, 1)
    assert dataset[0]["input_ids"] == whole[0]["input_ids"][:limit]
    assert "1 of 2 examples are longer than" in caplog.text


def test_row_without_anything_to_train_is_left_out(tmp_path):
    long = {"prompt": [user("a" * 200)], "completion": [assistant("b")]}
    short = {"prompt": [user("a")], "completion": [assistant("b")]}
    _, (dataset, truncated) = read([long, short], CHATML, tmp_path, limit=100)
    assert (dataset["line"][:], truncated) == ([1], 1)


WORDS = st.text("ab <|>/[]\né", min_size=1, max_size=12).filter(str.strip)


@settings(max_examples=60, deadline=None)
@given(
    template=st.sampled_from([CHATML, PHI, MISTRAL]),
    asked=st.lists(WORDS, min_size=1, max_size=4),
    said=st.data(),
)
def test_whatever_is_said_is_trained_whole(template, asked, said, tmp_path_factory):
    replies = [said.draw(WORDS) for _ in asked]
    messages = [m for pair in zip(asked, replies, strict=True) for m in map(_message, (0, 1), pair)]
    example = {"prompt": messages[:1], "completion": messages[1:]}
    tokenizer, (dataset, _) = read([example], template, tmp_path_factory.mktemp("drawn"))
    turns = [turn for row in dataset for turn in trained(tokenizer, row)]
    assert len(turns) == len(replies)
    for turn, reply in zip(turns, replies, strict=True):
        assert (
            turn.removesuffix("\n<|endoftext|>").strip()
            == ((reply.strip() if template is PHI else reply) + ENDS[template]).strip()
        )


def _message(role, text):
    return (user, assistant)[role](text)
