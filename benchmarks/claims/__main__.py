"""``python benchmarks/claims``: one command for all claims."""

import sys
from pathlib import Path

# Started as a directory, Python looks for modules inside of it, not beside it.
sys.path[0] = str(Path(__file__).resolve().parents[1])

from claims.command import main  # noqa: E402

main()
