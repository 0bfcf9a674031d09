"""Training data: JSONL in TRL's conversational formats, checked line by line before any work."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from metaplan.core import DataError

__all__ = ["DPO_FIELDS", "SFT_FIELDS", "Example", "read_examples"]

Example = dict[str, list[dict[str, str]]]
"""Field name to chat messages of role and content."""

SFT_FIELDS = ("prompt", "completion")
DPO_FIELDS = ("prompt", "chosen", "rejected")

_PROMPT_ROLES = {"system", "user", "assistant"}


def read_examples(path: Path, fields: tuple[str, ...]) -> list[Example]:
    """Reads a dataset; blank lines and fields beyond `fields` are ignored.

    Args:
        path: A JSONL file; each line is an object that maps every field to a list of messages
            ``{"role": …, "content": …}``. The prompt ends with role ``user``; the other fields
            hold one message of role ``assistant``.
        fields: `SFT_FIELDS` or `DPO_FIELDS`.

    Returns:
        At least one example, in file order.

    Raises:
        DataError: The file is missing or empty, or a line is not as above.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such dataset file")
    lines = path.read_text(encoding="utf-8").split("\n")
    examples = [
        _parse_line(line, fields, where=f"{path}, line {number}")
        for number, line in enumerate(lines, 1)
        if line.strip()
    ]
    if not examples:
        raise DataError(f"{path}: the dataset is empty; it needs at least one example")
    return examples


def _parse_line(line: str, fields: tuple[str, ...], where: str) -> Example:
    shape = "an object with the fields " + ", ".join(f'"{field}"' for field in fields)
    try:
        found = json.loads(line)
    except json.JSONDecodeError as error:
        raise DataError(f"{where}: not JSON ({error.msg}); expected {shape}") from error
    if not isinstance(found, dict) or not set(fields) <= found.keys():
        raise DataError(f"{where}: expected {shape}")
    return {
        field: [
            _check_message(message, where=f'{where}, field "{field}"')
            for message in _check_messages(field, found[field], where)
        ]
        for field in fields
    }


def _check_messages(field: str, found: Any, where: str) -> list[Any]:
    """The messages of one field, whose last role (and in completions: number) must be right."""
    is_prompt = field == "prompt"
    right = (
        'a list of messages that ends with role "user"'
        if is_prompt
        else 'a list of one message of role "assistant"'
    )
    last_role = "user" if is_prompt else "assistant"
    if (
        not isinstance(found, list)
        or not found
        or not isinstance(found[-1], Mapping)
        or found[-1].get("role") != last_role
        or (not is_prompt and len(found) != 1)
    ):
        raise DataError(f'{where}: field "{field}" must be {right}')
    return found


def _check_message(message: Any, where: str) -> dict[str, str]:
    if (
        not isinstance(message, Mapping)
        or message.get("role") not in _PROMPT_ROLES
        or not isinstance(message.get("content"), str)
        or not message["content"].strip()
    ):
        raise DataError(
            f'{where}: a message must be {{"role": "system"|"user"|"assistant", "content": text}}'
        )
    return {"role": message["role"], "content": message["content"]}
