"""Filling prompt templates with untrusted text."""

from __future__ import annotations

import re

__all__ = ["fill"]

_SLOT = re.compile(r"\{([a-z_]+)\}")


def fill(template: str, **values: str) -> str:
    """Puts values into the ``{slots}`` of a template, in one pass.

    Braces inside a value stay text, and so do slots that have no value: plans and observations
    are untrusted and are never formatted a second time.

    Args:
        template: Text with slots, e.g. ``"Task: {task}"``.
        **values: Text for each slot.

    Raises:
        KeyError: A value has no slot in the template: it would be lost silently.
    """
    unused = values.keys() - set(_SLOT.findall(template))
    if unused:
        raise KeyError(f"the template has no slot for {sorted(unused)}")
    return _SLOT.sub(lambda slot: values.get(slot.group(1), slot.group(0)), template)
