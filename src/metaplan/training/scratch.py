"""A tiny language model and its word-level tokenizer, made from nothing but texts.

The embedded default trains its planner on a laptop without any download. The tokenizer keeps every
space and newline (a token holds the space before its word), so that decoding gives back the text;
its words are those of the texts it is made from, and so are numbered things ("cabinet 4") or stock
phrases (". On the"); see `ScratchSettings.pieces`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from metaplan.core import ConfigError, DataError
from metaplan.training.phrases import mine_phrases, phrase_patterns
from metaplan.training.quiet import quiet
from metaplan.training.settings import ScratchSettings

__all__ = ["CHAT_TEMPLATE", "create_scratch_model"]

PAD, UNKNOWN, END = "<pad>", "<unk>", "<|end|>"
_SPECIAL = (PAD, UNKNOWN, END, "<|system|>", "<|user|>", "<|assistant|>")

# Nothing stands between a message's end and the next role: what the model generated is then
# exactly the start of the next turn's prompt.
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|' + message['role'] + '|>' + message['content'] + '<|end|>' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)

# Tags, words, single digits (so that no number is ever unknown), single marks; each with the space
# before it. What is left is white space.
_PIECE = r"</?[\w|]+>|\n| ?[\p{L}_#]+| ?\p{N}| ?[^\s\p{L}\p{N}]|\s"
# A numbered thing, with what stands before it in a list, is one token where the texts have it: a
# room listing takes a quarter of the tokens, and its "a shelf 2" is no longer mistaken for the
# "shelf" of the task when a plan is to name that.
_THING = r"(?:,? ?(?:and )?\ban?\b)? ?[\p{L}_#]+ \p{N}+"
# As agents name it in actions. What lies about is then another word than the kind of thing that a
# task or a thought names, and to see the one that is sought takes a glance at one token.
_NUMBERED = r" ?[\p{L}_#]+ \p{N}+"
_NUMBER = r" ?\p{N}+"
_MOST_PHRASES = 200
_ALWAYS = ("\n", " ", *(f"{space}{digit}" for digit in range(10) for space in ("", " ")))


def create_scratch_model(texts: Iterable[str], out: Path, settings: ScratchSettings) -> Path:
    """Writes an untrained model and its tokenizer as an ordinary Hugging Face model directory.

    Equal texts and settings give equal files.

    Args:
        texts: What the vocabulary is drawn from: prompts and completions.
        out: Directory to write; made where missing.
        settings: Size, context and seed.

    Returns:
        `out`.

    Raises:
        DataError: There is no word in `texts`.
        ConfigError: `hidden_size` is no multiple of twice `heads`.
    """
    import torch
    from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM

    if settings.hidden_size % (2 * settings.heads):
        raise ConfigError(
            f"hidden_size is {settings.hidden_size}; it must be a multiple of twice heads "
            f"({2 * settings.heads})"
        )
    tokenizer = _build_tokenizer(texts, settings)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=settings.hidden_size,
        num_hidden_layers=settings.layers,
        num_attention_heads=settings.heads,
        intermediate_size=settings.intermediate_size,
        max_position_embeddings=settings.context,
        initializer_range=settings.hidden_size**-0.5,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        model = LlamaForCausalLM(config)
        _make_attention_copy(model)
        if settings.pieces == "phrases":
            _make_attention_match(model)
            _make_things_resemble_their_kind(model, tokenizer)
    # Servers sample greedily, whatever the request says, unless the model's own file says so.
    model.generation_config = GenerationConfig(
        do_sample=True, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id
    )
    with quiet():
        model.save_pretrained(out)
    tokenizer.save_pretrained(out)
    return out


def _make_attention_copy(model: Any) -> None:
    """Lets each block pass on, from the start, the very words that it attends to.

    A plan repeats words of its task. The product of value and output weights is made an identity
    (after Trockman and Kolter, "Mimetic initialization of self-attention layers", 2023) and the
    output layer is the embedding, so that training has only to find out where to look. A planner of
    2 layers then names the right object in 99% of places after 1,600 examples, without it in 45%.
    """
    from torch.nn import init

    for layer in model.model.layers:
        attention = layer.self_attn
        init.orthogonal_(attention.v_proj.weight)
        attention.o_proj.weight.data.copy_(attention.v_proj.weight.data.T)


def _make_attention_match(model: Any) -> None:
    """Lets half of the heads look, from the start, at earlier mentions of the word they stand on.

    Their query and key weights are equal (Trockman and Kolter again). An agent has to see whether
    what it needs is among the things before it.
    """
    from torch.nn import init

    for layer in model.model.layers:
        query, key = layer.self_attn.q_proj.weight, layer.self_attn.k_proj.weight
        init.orthogonal_(query)
        init.orthogonal_(key)
        half = len(query) // 2
        key.data[:half] = query.data[:half]


def _make_things_resemble_their_kind(model: Any, tokenizer: Any) -> None:
    """Starts the token of "shelf 2" between those of "shelf" and "2".

    So what is learned of one shelf holds, to begin with, for all of them.
    """
    embeddings = model.get_input_embeddings().weight.data
    vocabulary: dict[str, int] = tokenizer.get_vocab()
    for token, at in vocabulary.items():
        kind, _, number = token.rpartition(" ")
        parts = [vocabulary.get(kind), vocabulary.get(f" {number}")]
        if number.isdecimal() and kind.strip() and None not in parts:
            embeddings[at] = embeddings[parts].sum(dim=0) / 2**0.5


def _build_tokenizer(texts: Iterable[str], settings: ScratchSettings) -> Any:
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    def splitter(*patterns: str) -> Any:
        return pre_tokenizers.Split(Regex("|".join(patterns)), behavior="isolated")

    texts = Counter(texts)
    if settings.pieces == "things":
        fine, coarse = splitter(_PIECE), splitter(_THING, _PIECE)
    else:
        fine = splitter(_NUMBER, _PIECE)
        phrases = mine_phrases(_split(texts, fine), _MOST_PHRASES)
        coarse = splitter(*phrase_patterns(phrases), _NUMBERED, _NUMBER, _PIECE)
    counts: Counter[str] = Counter()
    for split in (fine, coarse):
        for pieces, times in _split(texts, split).items():
            for piece in pieces:
                counts[piece] += times
    if not counts:
        raise DataError("the texts for the vocabulary are empty")
    by_frequency = sorted(counts, key=lambda word: (-counts[word], word))
    words = dict.fromkeys((*_SPECIAL, *_ALWAYS, *by_frequency))
    kept = list(words)[: settings.vocabulary_size]
    # Takes the longest word of the vocabulary again and again: a thing whose number the texts lack
    # falls apart into words and digits, and an unseen number into its digits.
    tokenizer = Tokenizer(
        models.WordPiece(
            {word: at for at, word in enumerate(kept)},
            unk_token=UNKNOWN,
            continuing_subword_prefix="",
            max_input_chars_per_word=max(100, *map(len, kept)),
        )
    )
    tokenizer.pre_tokenizer = coarse
    tokenizer.decoder = decoders.Fuse()
    tokenizer.add_special_tokens([AddedToken(word, special=True) for word in _SPECIAL])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        unk_token=UNKNOWN,
        eos_token=END,
        additional_special_tokens=["<|system|>", "<|user|>", "<|assistant|>"],
        chat_template=CHAT_TEMPLATE,
        model_max_length=settings.context,
        clean_up_tokenization_spaces=False,
        model_input_names=["input_ids", "attention_mask"],
    )


def _split(texts: Counter[str], splitter: Any) -> Counter[tuple[str, ...]]:
    """The pieces of each text, and how often it occurs."""
    pieces: Counter[tuple[str, ...]] = Counter()
    for text, times in texts.items():
        pieces[tuple(piece for piece, _ in splitter.pre_tokenize_str(text))] += times
    return pieces
