"""The benchmark's modules, and a study that takes seconds."""

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[3] / "benchmarks"))

TINY_STUDY = """\
recipe: {recipe}
seeds: [0, 1]
transfer_splits: [unseen]
curves: {{seeds: 1, counts: [1, 2, 3]}}
quick:
  settings: {{explore.tasks: 2}}
  seeds: [7]
"""


@pytest.fixture(scope="session")
def tiny_study(tmp_path_factory: pytest.TempPathFactory, tiny_recipe: Path) -> Path:
    """A study of the tests' tiny recipe: 3 seen and 3 unseen tasks, M = 3, N = 2."""
    path = tmp_path_factory.mktemp("study") / "tiny-study.yaml"
    path.write_text(TINY_STUDY.format(recipe=tiny_recipe), "utf-8")
    return path
