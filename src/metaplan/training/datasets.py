"""Training data: JSONL in TRL's conversational formats, checked line by line before any work."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from metaplan.core import DataError

__all__ = ["DPO_FIELDS", "SFT_FIELDS", "Example", "read_examples"]

Example = dict[str, list[dict[str, Any]]]
"""Field name to chat messages of role and content; with a ``weight`` of 0, one is not trained."""

SFT_FIELDS = ("prompt", "completion")
DPO_FIELDS = ("prompt", "chosen", "rejected")

_CONVERSATION = "messages"
_MESSAGE = ("role", "content", "weight")
_ROLES = {"system", "user", "assistant"}
_PROMPT = 'a list of messages that ends with role "user"'
_REPLIES = (
    'a list of messages that begins and ends with role "assistant", with one of role "user" '
    "between two of them"
)


def read_examples(path: Path, fields: tuple[str, ...]) -> list[Example]:
    """Reads a dataset; blank lines and fields beyond `fields` are ignored.

    Args:
        path: A JSONL file; each line is an object that maps every field to a list of messages
            ``{"role": …, "content": …}``. The prompt ends with role ``user``; the other fields
            begin and end with role ``assistant``, and users speak between: one message is a
            planner's answer, several are an agent's episode. For `SFT_FIELDS`, all lines may hold
            one field ``messages`` instead: what stands before the first message of role
            ``assistant`` is then the prompt, and the rest the completion. A message with
            ``"weight": 0`` is read but not trained, as in OpenAI's format for fine-tuning.
        fields: `SFT_FIELDS` or `DPO_FIELDS`.

    Returns:
        At least one example, in file order.

    Raises:
        DataError: The file is missing or empty, or a line is not as above.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such dataset file")
    lines = [
        (f"{path}, line {number}", line)
        for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), 1)
        if line.strip()
    ]
    if not lines:
        raise DataError(f"{path}: the dataset is empty; it needs at least one example")
    if fields == SFT_FIELDS and _holds_conversation(*lines[0]):
        return [_parse_conversation(line, where) for where, line in lines]
    return [_parse_line(line, fields, where) for where, line in lines]


def _holds_conversation(where: str, line: str) -> bool:
    shape = f'"{SFT_FIELDS[0]}" and "{SFT_FIELDS[1]}", or with "{_CONVERSATION}"'
    found = _parse_object(line, f"an object with the fields {shape}", where)
    return _CONVERSATION in found and not set(SFT_FIELDS) <= found.keys()


def _parse_conversation(line: str, where: str) -> Example:
    shape = f'an object with the field "{_CONVERSATION}", as the first line has'
    found = _parse_object(line, shape, where)
    messages = found.get(_CONVERSATION)
    if not isinstance(messages, list):
        raise DataError(f"{where}: expected {shape}, a list of messages")
    where = f'{where}, field "{_CONVERSATION}"'
    roles = [message.get("role") if isinstance(message, Mapping) else None for message in messages]
    first = roles.index("assistant") if "assistant" in roles else len(roles)
    if not _is_prompt(roles[:first]) or not _are_replies(roles[first:]):
        raise DataError(f"{where} must be {_PROMPT}, followed by {_REPLIES}")
    checked = [_check_message(message, where) for message in messages]
    return {"prompt": checked[:first], "completion": checked[first:]}


def _parse_line(line: str, fields: tuple[str, ...], where: str) -> Example:
    shape = "an object with the fields " + ", ".join(f'"{field}"' for field in fields)
    found = _parse_object(line, shape, where)
    if not set(fields) <= found.keys():
        raise DataError(f"{where}: expected {shape}")
    return {
        field: [
            _check_message(message, where=f'{where}, field "{field}"')
            for message in _check_messages(field, found[field], where)
        ]
        for field in fields
    }


def _parse_object(line: str, shape: str, where: str) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except json.JSONDecodeError as error:
        raise DataError(f"{where}: not JSON ({error.msg}); expected {shape}") from error
    if not isinstance(found, dict):
        raise DataError(f"{where}: expected {shape}")
    return found


def _check_messages(field: str, found: Any, where: str) -> list[Any]:
    """The messages of one field, whose roles must be in a right order."""
    is_right, right = (_is_prompt, _PROMPT) if field == "prompt" else (_are_replies, _REPLIES)
    if not isinstance(found, list) or not is_right(
        [message.get("role") if isinstance(message, Mapping) else None for message in found]
    ):
        raise DataError(f'{where}: field "{field}" must be {right}')
    return found


def _is_prompt(roles: list[Any]) -> bool:
    return bool(roles) and roles[-1] == "user"


def _are_replies(roles: list[Any]) -> bool:
    turns = ("assistant", "user")
    return len(roles) % 2 == 1 and all(role == turns[at % 2] for at, role in enumerate(roles))


def _check_message(message: Any, where: str) -> dict[str, Any]:
    if (
        not isinstance(message, Mapping)
        or message.get("role") not in _ROLES
        or not isinstance(message.get("content"), str)
        or not message["content"].strip()
        or message.get("weight", 1) not in {0, 1}
    ):
        raise DataError(
            f'{where}: a message must be {{"role": "system"|"user"|"assistant", "content": text}}, '
            f'with "weight": 0 where it is not trained'
        )
    return {field: message[field] for field in _MESSAGE if field in message}
