"""Durable identities: the same on every machine, in every process, in every year.

A key is the hash of a canonical JSON text, never an index into a listing.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

__all__ = ["digest", "episode_key", "seed_from"]


def digest(*parts: Any) -> str:
    """Hashes JSON-serialisable parts into 16 hexadecimal digits.

    Args:
        *parts: Strings, numbers, booleans, None, or lists and dictionaries of these. Dictionaries
            hash equal whatever their order.

    Returns:
        64 bits of SHA-256, as 16 lower-case hexadecimal digits.
    """
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode("ascii")).hexdigest()[:16]


def episode_key(
    *,
    round: int,
    task_key: str,
    environment: str,
    plan_key: str | None,
    placement: str | None,
    agent: str,
    repetition: int,
) -> str:
    """Names one planned episode; two runs that plan the same episode give it the same key.

    Args:
        round: 0 until MPO is iterated.
        task_key: The task's durable key.
        environment: Fingerprint of what shapes observations and rewards.
        plan_key: The plan's key, or None for an episode without a plan.
        placement: Where the plan goes; None without a plan.
        agent: Fingerprint of the agent's model and sampling.
        repetition: 0 ≤ repetition < N.

    Returns:
        16 hexadecimal digits.
    """
    return digest(round, task_key, environment, plan_key, placement, agent, repetition)


def seed_from(*parts: Any) -> int:
    """Derives a random seed in [0, 2³¹) from a key or from parts of one."""
    return int(digest(*parts), 16) % 2**31
