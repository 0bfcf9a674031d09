"""Whether a run can be carried out here: every check that `metaplan doctor` makes.

A check looks at one thing and says what it found, and what to do where that is not as it should be.
It changes nothing, has a time limit, and may break without breaking the others.
"""

from metaplan.runs.doctor.checks import Check, Finding, Verdict, carry_out
from metaplan.runs.doctor.examination import checks_for

__all__ = ["Check", "Finding", "Verdict", "carry_out", "checks_for"]
