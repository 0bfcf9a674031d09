"""What a check is, what it finds, and how several are carried out at a time."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from math import ceil
from typing import Any

from metaplan.core import UserError

__all__ = ["Check", "Finding", "ProbeError", "Verdict", "carry_out", "probe"]


class Verdict(Enum):
    """How good a finding is; its value is the sign in front of it."""

    FINE = "✓"
    NOTE = "!"
    """Worth knowing; what was asked about works without it."""
    BROKEN = "✗"
    """To be put right first."""


@dataclass(frozen=True)
class Finding:
    """One line of an examination.

    Attributes:
        verdict: How good it is.
        subject: What was looked at.
        fact: What is so.
        remedy: What to do about it, a command where there is one.
    """

    verdict: Verdict
    subject: str
    fact: str
    remedy: str = ""

    @classmethod
    def fine(cls, subject: str, fact: str) -> Finding:
        """Nothing to be done."""
        return cls(Verdict.FINE, subject, fact)

    @classmethod
    def trouble(cls, subject: str, fact: str, remedy: str, *, needed: bool = True) -> Finding:
        """Broken where it is needed, else worth a note."""
        return cls(Verdict.BROKEN if needed else Verdict.NOTE, subject, fact, remedy)


@dataclass(frozen=True)
class Check:
    """One thing to look at.

    Attributes:
        subject: For findings of the check itself.
        look: Looks. A `UserError` of it is a finding.
        timeout_s: It has hung after so long.
    """

    subject: str
    look: Callable[[], Iterable[Finding]]
    timeout_s: float = 30.0


def carry_out(checks: Sequence[Check]) -> Iterator[Finding]:
    """Carries out all checks at a time.

    Yields:
        Findings in the order of the checks, as soon as they are there.
    """
    begun = time.monotonic()
    answers: list[queue.Queue[list[Finding]]] = [queue.Queue() for _ in checks]
    for check, answer in zip(checks, answers, strict=True):
        # A thread that hangs in the kernel can't be ended; a daemon keeps nobody from leaving.
        threading.Thread(target=_answer, args=(check, answer), daemon=True).start()
    for check, answer in zip(checks, answers, strict=True):
        try:
            left_s = begun + check.timeout_s - time.monotonic()
            yield from answer.get(timeout=max(left_s, 0.001))
        except queue.Empty:
            yield Finding.trouble(
                check.subject,
                f"no answer within {check.timeout_s:g} s",
                "look for a hanging disk, network mount or driver, and run this again",
            )


def _answer(check: Check, answer: queue.Queue[list[Finding]]) -> None:
    try:
        answer.put(list(check.look()))
    except UserError as error:
        answer.put([Finding.trouble(check.subject, str(error), "")])
    except Exception as error:
        fact = f"the check itself failed: {type(error).__name__}: {error}"
        answer.put([Finding.trouble(check.subject, fact, "please report this")])


class ProbeError(Exception):
    """A probe ended without an answer; the message is its last words."""


def probe(code: str, *arguments: str, timeout_s: float) -> Any:
    """Runs Python code in a process of its own: it may hang, or crash the interpreter.

    Args:
        code: Whose last printed line is a JSON value.
        arguments: In ``sys.argv``.
        timeout_s: After this time the process is killed with all that it has started.

    Raises:
        ProbeError: It printed none.
    """
    process = subprocess.Popen(  # noqa: S603 - our own code
        # The alarm ends it also where nobody is left to do so.
        [
            sys.executable,
            "-c",
            f"import signal; signal.alarm({ceil(timeout_s) + 1})\n{code}",
            *arguments,
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    try:
        said, complaints = process.communicate(timeout=timeout_s)
        return json.loads(said.splitlines()[-1])
    except subprocess.TimeoutExpired:
        raise ProbeError(f"no answer within {timeout_s:g} s") from None
    except (LookupError, ValueError):
        raise ProbeError(_last_words(process.returncode, complaints)) from None
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _last_words(code: int, complaints: str) -> str:
    if code < 0:
        return f"its process was killed by {signal.Signals(-code).name}"
    lines = [line for line in complaints.splitlines() if line.strip()]
    return lines[-1].strip() if lines else f"its process ended with exit code {code}"
