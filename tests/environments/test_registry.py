import subprocess
import sys
from importlib.metadata import EntryPoint

import pytest

from metaplan.core import UserError
from metaplan.environments import Benchmark, benchmarks, get_benchmark, registry


@pytest.fixture
def plugins(monkeypatch):
    """Replaces the installed entry points by the given ones."""

    def install(**values):
        points = [EntryPoint(name, value, registry.GROUP) for name, value in values.items()]
        monkeypatch.setattr(registry, "entry_points", lambda group: points)

    return install


def test_installed_benchmarks_are_found_by_name():
    assert {"alfworld", "household"} <= set(benchmarks())
    assert isinstance(get_benchmark("alfworld"), Benchmark)
    assert get_benchmark("alfworld") is benchmarks()["alfworld"]


def test_an_unknown_name_is_answered_with_the_known_ones(plugins):
    plugins(one="x:y", two="x:z")
    with pytest.raises(UserError, match=r"'three'; there are: one, two"):
        get_benchmark("three")


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("no_such_module_here:BENCHMARK", "ModuleNotFoundError"),
        ("metaplan.core:NOTHING", "AttributeError"),
        ("metaplan.core:Task", "not a Benchmark record"),
        ("metaplan.environments.alfworld:BENCHMARK", "calls itself 'alfworld'"),
    ],
)
def test_a_broken_plugin_is_named_and_hurts_no_other(plugins, value, why):
    plugins(broken=value, alfworld="metaplan.environments.alfworld:BENCHMARK")
    with pytest.raises(UserError, match=rf"'broken'.*{why}"):
        get_benchmark("broken")
    assert get_benchmark("alfworld").name == "alfworld"
    assert list(benchmarks()) == ["alfworld", "broken"]


def test_importing_benchmarks_imports_nothing_heavy():
    code = (
        "import sys; from metaplan.environments import get_benchmark; get_benchmark('alfworld');"
        "print({'textworld', 'alfworld', 'torch', 'fast_downward'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
