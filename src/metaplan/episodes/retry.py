"""How often a void episode is tried again, and after how long."""

from __future__ import annotations

from pydantic import Field

from metaplan.core import Record

__all__ = ["RetryPolicy"]


class RetryPolicy(Record):
    """A bounded number of attempts with exponential waits.

    Attributes:
        attempts: Most tries of one episode in one run of the program, the first included.
        first_wait_s: Seconds before the second try.
        longest_wait_s: No wait is longer.
        give_up_after: This many void attempts in a row, over all episodes and beyond those in
            flight (which one cause can void at once), mean that the model or the environment is
            gone: the run stops with a message instead of wearing on.
    """

    attempts: int = Field(default=4, ge=1)
    first_wait_s: float = Field(default=0.5, ge=0.0)
    longest_wait_s: float = Field(default=30.0, ge=0.0)
    give_up_after: int = Field(default=50, ge=1)

    def wait_s(self, attempt: int) -> float:
        """Seconds to wait after the given attempt (counted from 1) came to nothing."""
        return min(self.first_wait_s * 2.0 ** (attempt - 1), self.longest_wait_s)
