"""Packages: what is missing or of another version is named with the command that brings it."""

import socket
from importlib import metadata

import pytest

from metaplan.recipes import load_recipe
from metaplan.runs.doctor import Verdict, carry_out
from metaplan.runs.doctor.packages import _numbers, package_checks

LINES = [
    "numpy>=2.0",
    "sharp>=2.9,<4; extra == 'train'",
    "blunt==1.2.0; extra == 'train'",
    'quoted>=1; extra == "report"',
    "pytest>=9; extra == 'dev'",
]
GOOD = {"numpy": "2.4.6", "sharp": "2.13.0+cpu", "blunt": "1.2", "quoted": "1.0.post1"}


@pytest.fixture
def installed(monkeypatch):
    """Makes Python's record of installed packages say something else."""

    def make(**versions):
        there = GOOD | versions

        def version(name):
            if there.get(name) is None:
                raise metadata.PackageNotFoundError(name)
            return there[name]

        monkeypatch.setattr(metadata, "version", version)
        monkeypatch.setattr(metadata, "requires", lambda _: LINES)

    return make


def findings(config=None):
    checks = [c for c in package_checks(config) if c.subject not in {"torch", "ray"}]
    return {finding.subject: finding for finding in carry_out(checks)}


def test_what_is_installed_as_supported_is_fine(installed):
    installed()
    found = findings()
    assert set(found) == {"packages", "extra train", "extra report"}  # no developers' tools
    assert {finding.verdict for finding in found.values()} == {Verdict.FINE}


@pytest.mark.parametrize(
    ("versions", "fact", "remedy"),
    [
        ({"sharp": None}, "not installed: sharp", "pip install 'metaplan[train]'"),
        ({"sharp": "2.8.1"}, "sharp 2.8.1 is installed", "pip install 'sharp>=2.9,<4'"),
        ({"sharp": "4.0"}, "sharp 4.0 is installed", "pip install 'sharp>=2.9,<4'"),
        ({"blunt": "1.2.1"}, "blunt 1.2.1 is installed", "pip install 'blunt==1.2.0'"),
    ],
)
def test_a_gap_in_an_extra_is_a_note_and_for_a_recipe_that_needs_it_an_error(
    installed, versions, fact, remedy
):
    installed(**versions)
    note = findings()["extra train"]
    assert (note.verdict, note.remedy) == (Verdict.NOTE, remedy)
    assert fact in note.fact
    error = findings(load_recipe("household-demo"))["extra train"]
    assert (error.verdict, error.fact, error.remedy) == (Verdict.BROKEN, note.fact, note.remedy)


def test_a_recipe_is_not_troubled_with_extras_that_it_does_not_need(installed):
    installed(sharp=None)
    settings = ["evaluate.methods=[none]", "agent={model: follower}"]
    assert "extra train" not in findings(load_recipe("household-demo", settings))
    local = [*settings, "agent={model: local, path: x}"]
    assert "extra train" in findings(load_recipe("household-demo", local))


def test_the_core_is_always_needed(installed):
    installed(numpy="1.26.4")
    found = findings()["packages"]
    assert (found.verdict, found.remedy) == (Verdict.BROKEN, "pip install 'numpy>=2.0'")


@pytest.mark.parametrize(
    ("version", "numbers"),
    [("2.13.0+cpu", (2, 13)), ("1.2", (1, 2)), ("20.6.4", (20, 6, 4)), ("5.0.0rc1", (5,))],
)
def test_versions_are_compared_by_their_numbers(version, numbers):
    assert _numbers(version) == numbers


def test_this_installation_says_what_its_metadata_says():
    found = findings()
    assert found["packages"].verdict is Verdict.FINE
    assert f"pydantic {metadata.version('pydantic')}" in found["packages"].fact


def torch_finding(config=None):
    (check,) = [check for check in package_checks(config) if check.subject == "torch"]
    return list(carry_out([check]))[-1]


def test_torch_is_really_imported(tmp_path, monkeypatch):
    pytest.importorskip("torch")
    assert torch_finding().verdict in {Verdict.FINE, Verdict.NOTE}
    (tmp_path / "torch.py").write_text("raise ImportError('libcudart.so.12: cannot open')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    broken = torch_finding()
    assert broken.verdict is Verdict.BROKEN
    assert "libcudart.so.12" in broken.fact


FAKE_TORCH = """
class version:
    cuda = {cuda!r}
class cuda:
    is_available = staticmethod(lambda: False)
class backends:
    class mps:
        is_available = staticmethod(lambda: False)
"""


@pytest.mark.parametrize(
    ("cuda", "base", "verdict"),
    [
        ("12.8", "scratch", Verdict.NOTE),
        (None, "scratch", Verdict.FINE),
        (None, "meta-llama/Llama-3.1-8B", Verdict.BROKEN),
        ("12.8", "meta-llama/Llama-3.1-8B", Verdict.BROKEN),
    ],
)
def test_without_a_gpu_large_planners_are_not_trained(tmp_path, monkeypatch, cuda, base, verdict):
    pytest.importorskip("torch")
    (tmp_path / "torch.py").write_text(FAKE_TORCH.format(cuda=cuda))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    config = load_recipe("household-demo", [f"planner.base={base}"])
    assert torch_finding(config).verdict is verdict


def test_a_ray_cluster_that_is_gone_is_said(monkeypatch):
    pytest.importorskip("ray")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{port}")
    config = load_recipe("household-demo", ["runtime.executor=ray"])
    (check,) = [check for check in package_checks(config) if check.subject == "ray"]
    (gone,) = carry_out([check])
    assert gone.verdict is Verdict.BROKEN
    assert f"127.0.0.1:{port}" in gone.fact
    with socket.create_server(("127.0.0.1", port)):
        (there,) = carry_out([check])
    assert there.verdict is Verdict.FINE
