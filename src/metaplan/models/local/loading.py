"""Reads a model's directory."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from metaplan.core import DataError, MissingDependencyError

__all__ = ["context_of", "end_tokens", "load", "weights_digest"]

_SHAPING_FILES = ("config.json", "generation_config.json", "tokenizer.json", "chat_template.jinja")


def load(path: Path, device: str) -> tuple[Any, Any]:
    """The model in `path`, ready to generate on `device`, and its tokenizer.

    Raises:
        DataError: `path` holds no causal language model with a chat template.
        MissingDependencyError: torch or transformers is not installed.
    """
    try:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer
        from transformers.utils import logging
    except ImportError as error:
        raise MissingDependencyError(error.name or "torch", "train") from error
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    shows_bars = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        tokenizer = AutoTokenizer.from_pretrained(path, local_files_only=True)
        model = AutoModelForCausalLM.from_pretrained(
            path, local_files_only=True, dtype="auto", use_safetensors=True
        )
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: can't be loaded as a causal language model: {error}") from error
    finally:
        if shows_bars:
            logging.enable_progress_bar()
    if tokenizer.chat_template is None:
        raise DataError(f"{path}: the tokenizer has no chat template")
    return model.to(device).eval(), tokenizer


def weights_digest(path: Path) -> str:
    """Hash of all files that shape what a model says; one pass over the bytes.

    Raises:
        DataError: `path` holds no model.
    """
    weights = sorted(path.glob("*.safetensors"))
    if not weights:
        raise DataError(f"{path}: no model here (a directory with *.safetensors is needed)")
    sums = hashlib.sha256()
    for file in (*weights, *(path / name for name in _SHAPING_FILES)):
        if file.is_file():
            with file.open("rb") as stream:
                sums.update(hashlib.file_digest(stream, "sha256").digest())
    return sums.hexdigest()[:16]


def context_of(model: Any) -> int:
    """Most tokens of a conversation."""
    return int(model.config.get_text_config().max_position_embeddings)


def end_tokens(model: Any, tokenizer: Any) -> set[int]:
    """Tokens that end a reply: the tokenizer's and those of the generation configuration."""
    found = model.generation_config.eos_token_id
    listed = found if isinstance(found, list) else [found]
    return {token for token in (tokenizer.eos_token_id, *listed) if token is not None}
