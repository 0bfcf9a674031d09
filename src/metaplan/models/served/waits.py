"""How long to wait before a request is tried again."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

__all__ = ["LONGEST_RETRY_AFTER_S", "retry_after_s", "wait_s"]

_FIRST_WAIT_S = 0.5
_LONGEST_WAIT_S = 30.0
LONGEST_RETRY_AFTER_S = 120.0
"""A server that asks for more is asked again after this time."""


def wait_s(attempt: int) -> float:
    """Seconds to wait after the given attempt (counted from 1) failed.

    Exponential with full jitter: uniform between 0 and a bound that doubles, so that many requests
    that failed together don't come back together.

    Args:
        attempt: 1, 2, …
    """
    bound = min(_FIRST_WAIT_S * 2.0 ** min(attempt - 1, 16), _LONGEST_WAIT_S)
    return random.uniform(0.0, bound)  # noqa: S311 - spreads load


def retry_after_s(headers: Mapping[str, str], now: float | None = None) -> float | None:
    """The time that a server asks to be left alone (RFC 9110, section 10.2.3).

    Args:
        headers: Of the response: ``retry-after-ms`` (Azure), or ``retry-after`` in seconds or as
            an HTTP date.
        now: Seconds since the epoch.

    Returns:
        Seconds in [0, `LONGEST_RETRY_AFTER_S`]; None where nothing readable is said.
    """
    seconds = _number(headers.get("retry-after-ms"), 1e-3)
    if seconds is None:
        said = headers.get("retry-after")
        seconds = _number(said)
        if seconds is None:
            seconds = _until(said, time.time() if now is None else now)
    return None if seconds is None else min(max(seconds, 0.0), LONGEST_RETRY_AFTER_S)


def _number(text: str | None, unit: float = 1.0) -> float | None:
    try:
        value = float(text or "") * unit
    except ValueError:
        return None
    return None if math.isnan(value) else value


def _until(text: str | None, now: float) -> float | None:
    try:
        return parsedate_to_datetime(text or "").timestamp() - now
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
