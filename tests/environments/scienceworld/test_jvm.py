"""The jar of our Java classes: from these sources, for any Java since 11; and life without it."""

import shutil
import zipfile
from pathlib import Path

import pytest

from metaplan.environments.scienceworld import simulator as module
from metaplan.environments.scienceworld.environment import LoadedExperiment
from metaplan.environments.scienceworld.jvm import JAR, SOURCES, build
from metaplan.environments.scienceworld.simulator import Jvm
from metaplan.environments.scienceworld.simulators import Simulators
from metaplan.environments.scienceworld.stock import StockEngine

needs_compiler = pytest.mark.skipif(shutil.which("javac") is None, reason="no Java compiler here")


def classes(jar: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(jar) as archive:
        return {name: archive.read(name) for name in archive.namelist() if name.endswith(".class")}


def test_the_jar_is_made_from_the_sources_beside_it():
    assert build.manifest()["Sources"] == build.source_digest()
    compiled = {Path(name).stem.partition("$")[0] for name in classes(JAR)}
    assert compiled == {source.stem for source in SOURCES}


def test_the_jar_runs_on_java_11():
    oldest = 55  # what Java 11 calls its class files
    assert {int.from_bytes(code[6:8]) for code in classes(JAR).values()} == {oldest}


@needs_compiler
def test_the_sources_compile_to_the_classes_in_the_jar(tmp_path):
    again = tmp_path / "again.jar"
    build.build(again)
    assert build.manifest(again)["Sources"] == build.manifest()["Sources"]
    if build.compiler() == build.manifest()["Compiler"]:
        assert classes(again) == classes(JAR)
    else:
        assert classes(again).keys() == classes(JAR).keys()


@needs_compiler
def test_the_simulators_own_parser_takes_over_where_ours_misreads(monkeypatch, tmp_path):
    broken = [tmp_path / source.name for source in SOURCES]
    for copy, source in zip(broken, SOURCES, strict=True):
        copy.write_text(source.read_text("utf-8").replace("text.startsWith(name)", "false"))
    monkeypatch.setattr(build, "SOURCES", tuple(broken))
    monkeypatch.setattr(module, "JAR", tmp_path / "broken.jar")
    build.build(module.JAR)
    with pytest.warns(RuntimeWarning, match="ours misreads 'teleport to kitchen'"):
        jvm = Jvm()
    simulator = jvm.simulator()
    simulator.load("boil", 0)
    assert simulator.step("teleport to kitchen").text == "You teleport to the kitchen."
    assert simulator.step("open cupboard").text == "The cupboard is already open."
    jvm.stop()


def test_without_the_jar_the_packages_own_environment_plays(monkeypatch, tmp_path):
    monkeypatch.setattr(module, "JAR", tmp_path / "missing.jar")
    simulators = Simulators()
    environment = LoadedExperiment("find-plant", 0, simulators=simulators).make()
    with pytest.warns(RuntimeWarning, match="ScienceWorld runs through its own wrapper"):
        assert environment.reset().text.startswith("Your task is")
    assert isinstance(simulators.engine, StockEngine)
    environment.close()
