"""ScienceWorld's simulator, without what its Python wrapper does beside it.

The wrapper derives all valid actions, the inventory and a description of the room in every step,
starts one JVM for each episode, and computes the expert's path again at every reset. Here one JVM
holds any number of simulators, and a step is one call. That reaches below the package's public
interface, so it is done in this module alone, for the one version that it was written for, and
checked against the public interface whenever a JVM starts.

What simulators of one JVM share: a random generator, which is therefore seeded before every step
from what belongs to the episode alone; a counter of object ids, which is kept above every id that a
living world may hold; the simplifications, which only matter while a task is being loaded.
"""

from __future__ import annotations

import logging
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Protocol

from metaplan.core import EnvironmentFault, MissingDependencyError, UserError, seed_from
from metaplan.environments.scienceworld.java import find_java

__all__ = [
    "JAVA_OPTIONS",
    "VERSION",
    "Jvm",
    "Opening",
    "Outcome",
    "Simulator",
    "UnexpectedSimulatorError",
    "installed_version",
    "simplifications",
]

VERSION = "1.2.3"
"""The version of the package ``scienceworld`` whose inside is known here."""

JAVA_OPTIONS = ("-Xmx512m", "-XX:+UseSerialGC", "-XX:-UsePerfData")
"""Of the JVM: half a gigabyte of heap is enough for dozens of simulators."""

_FIRST_FREE_ID = 1 << 40
_FOLDS = {"train": "getVariationsTrain", "dev": "getVariationsDev", "test": "getVariationsTest"}
_META_COMMANDS = frozenset({"help", "objects"})
_NOTHING_SAID = "Unknown action. Type 'help' for a list of actions."


class UnexpectedSimulatorError(Exception):
    """The simulator's inside is not what this module was written for."""


@dataclass(frozen=True, slots=True)
class Opening:
    """What a loaded task shows.

    Attributes:
        description: The task, in the simulator's words: "Your task is to …".
        room: What the agent sees around it.
    """

    description: str
    room: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one action led to.

    Attributes:
        text: The simulator's answer.
        score: Now, in [0, 1]; −1 after a fatal mistake.
        completed: Whether the task's goal is reached.
    """

    text: str
    score: float
    completed: bool


class Simulator(Protocol):
    """One running world."""

    @property
    def alive(self) -> bool:
        """False once it can't be reached any more."""

    def load(self, task_name: str, variation: int) -> Opening:
        """Builds the world of a task, as at the beginning of an episode."""

    def step(self, action: str) -> Outcome:
        """Does one action."""


def simplifications(task_name: str) -> str:
    """What makes the simulated world easier, as Figures 7 and 10 promise it to planner and agent.

    That is the simulator's own ``easy`` (which leaves the electrical actions to the tasks that need
    them) and open containers: at the time of ETO they were part of ``easy``, in 1.2.3 they are not.
    """
    electrical = "power-component" in task_name or "conductivity" in task_name
    chosen = "teleportAction,openDoors,openContainers,selfWateringFlowerPots"
    return chosen if electrical else f"{chosen},noElectricalAction"


@cache
def installed_version() -> str:
    """The version of the package ``scienceworld``.

    Raises:
        MissingDependencyError: It is not installed.
    """
    try:
        return version("scienceworld")
    except PackageNotFoundError:
        raise MissingDependencyError("scienceworld", "scienceworld") from None


class Jvm:
    """A Java process with simulators in it; it ends with this process, however that ends.

    Raises:
        MissingDependencyError: ``scienceworld`` is not installed.
        UserError: There is no Java, or it does not start.
        UnexpectedSimulatorError: The simulator does not behave as this module expects.
    """

    def __init__(self) -> None:
        if installed_version() != VERSION:
            raise UnexpectedSimulatorError(f"scienceworld {installed_version()} is not {VERSION}")
        self.alive = True
        self._gateway, self._process = _launch()
        try:
            self._scala = _singletons(self._gateway.jvm)
            self._silence()
            self._check()
        except Exception as error:
            self.stop()
            raise UnexpectedSimulatorError(f"{type(error).__name__}: {error}") from error
        except BaseException:
            self.stop()
            raise

    @property
    def pid(self) -> int:
        """Process id of the JVM."""
        return int(self._process.pid)

    def simulator(self) -> FastSimulator:
        """A new simulator; several may be alive and take turns.

        Raises:
            EnvironmentFault: The JVM is gone.
        """
        with self.faults():
            return FastSimulator(self, self._interface())

    def variations(self) -> dict[str, dict[str, list[int]]]:
        """Task name to fold (``train``, ``dev``, ``test``) to the numbers of its variations.

        Raises:
            EnvironmentFault: The JVM is gone.
        """
        with self.faults():
            server = self._interface()
            found = {}
            for name in sorted(server.getTaskNames()):
                getattr(server, "taskStr_$eq")(name)
                found[name] = {fold: list(getattr(server, ask)()) for fold, ask in _FOLDS.items()}
            return found

    def gold_path(self, task_name: str, variation: int) -> list[str]:
        """The actions of the simulator's own expert; seconds of work.

        Raises:
            EnvironmentFault: The JVM is gone, or its expert failed.
        """
        with self.faults():
            server = self._interface()  # it would compute the path again at every later load
            _load(server, task_name, variation, gold_path=True)
            return list(server.getGoldActionSequence())

    @contextmanager
    def faults(self) -> Iterator[None]:
        """Turns what py4j raises into faults; a JVM that can't be reached is given up.

        Raises:
            EnvironmentFault: The JVM is gone, or the simulator in it threw an exception.
        """
        from py4j.protocol import Py4JError, Py4JJavaError

        if not self.alive:
            raise EnvironmentFault("the simulator's JVM is gone")
        try:
            yield
        except Py4JJavaError as error:
            raise EnvironmentFault(f"the simulator failed: {error.java_exception}") from error
        except (Py4JError, OSError) as error:
            self.stop()
            raise EnvironmentFault(f"the simulator's JVM is gone ({error})") from error

    def own_turn(self, *seed: Any) -> None:
        """Makes what follows independent of other simulators."""
        self._scala.random.setSeed(seed_from(*seed))

    def protect_ids(self) -> None:
        """After a load, which counts objects from 0: ids of new objects are beyond all others."""
        self._scala.set_next_id(_FIRST_FREE_ID)

    def stop(self) -> None:
        """Ends the JVM. Safe to call twice."""
        self.alive = False
        self._process.kill()
        self._gateway.close()

    def _interface(self) -> Any:
        return self._gateway.jvm.scienceworld.runtime.pythonapi.PythonInterface()

    def _silence(self) -> None:
        """The simulator prints much, and all of it would go through a pipe."""
        io = self._gateway.jvm.java.io
        nowhere = io.PrintStream(io.OutputStream.nullOutputStream())
        self._gateway.jvm.java.lang.System.setOut(nowhere)

    def _check(self) -> None:
        """Compares a step here with the same step through the package's own interface."""
        simulator = self.simulator()
        simulator.load("boil", 0)
        ours = simulator.step("look around")
        theirs = simulator.stock_step("look around")
        if ours != theirs or not ours.text.startswith("This room is called"):
            raise UnexpectedSimulatorError(f"{ours} instead of {theirs}")


class FastSimulator:
    """A simulator in a JVM that it shares with others."""

    def __init__(self, jvm: Jvm, server: Any) -> None:
        self.jvm = jvm
        self._server = server
        self._agent: Any = None
        self._seed: tuple[str, int] = ("", 0)
        self._steps = 0

    @property
    def alive(self) -> bool:
        """Whether its JVM can be reached."""
        return self.jvm.alive

    def load(self, task_name: str, variation: int) -> Opening:
        """Builds the world of a task; it replaces the one before.

        Raises:
            EnvironmentFault: The JVM is gone, or the simulator can't build this world.
        """
        with self.jvm.faults():
            _load(self._server, task_name, variation, gold_path=False)
            self.jvm.protect_ids()
            self._agent = self._server.agentInterface().get()
            self._seed, self._steps = (task_name, variation), 0
            description = self._server.getTaskDescription()
            return Opening(str(description), str(self._server.freeActionLook()))

    def step(self, action: str) -> Outcome:
        """Does one action.

        Raises:
            EnvironmentFault: The JVM is gone, or the simulator broke.
        """
        action = action.encode("utf-8", "replace").decode()  # half characters can't be sent
        if (
            action.strip().lower() in _META_COMMANDS
        ):  # answered by the package's own interface alone
            return self.stock_step(action)
        with self.jvm.faults():
            self._steps += 1
            self.jvm.own_turn(*self._seed, self._steps)
            outcome = _read(self._agent.step(action).toString())
            if outcome.score < 0 and self._agent.isInErrorState():
                raise EnvironmentFault(f"the simulator broke: {outcome.text}")
            return outcome

    def stock_step(self, action: str) -> Outcome:
        """Does one action through the package's own interface."""
        with self.jvm.faults():
            text = self._server.step(action)
            return Outcome(text, self._server.getScore(), self._server.getCompleted())


def _load(server: Any, task_name: str, variation: int, *, gold_path: bool) -> None:
    problem = server.load(task_name, variation, simplifications(task_name), gold_path)
    if problem:
        raise EnvironmentFault(f"{task_name}, variation {variation}: {problem}")


def _read(outcome: str) -> Outcome:
    """Reads a Scala triple, printed as ``(text,score,completed)``."""
    text, score, completed = outcome[1:-1].rsplit(",", 2)
    return Outcome(text or _NOTHING_SAID, float(score), completed == "true")


@dataclass(frozen=True)
class _Singletons:
    """What all simulators of a JVM share."""

    random: Any
    set_next_id: Callable[[int], None]


def _singletons(jvm: Any) -> _Singletons:
    random = getattr(getattr(jvm.scala.util, "Random$"), "MODULE$")
    return _Singletons(random, getattr(jvm.util.UniqueIdentifier, "count_$eq"))


def _launch() -> tuple[Any, subprocess.Popen[bytes]]:
    """Starts the JVM with py4j's server in it, which only answers to who knows a secret."""
    from py4j.java_gateway import GatewayParameters, JavaGateway, launch_gateway
    from scienceworld.constants import BASEPATH, JAR_PATH

    _silence_py4j()
    java = find_java()
    try:
        port, secret, process = launch_gateway(
            classpath=JAR_PATH,
            javaopts=list(JAVA_OPTIONS),
            java_path=java,
            die_on_exit=True,
            enable_auth=True,
            cwd=BASEPATH,  # the simulator reads a table of types from there
            return_proc=True,
        )
    except (OSError, ValueError) as error:
        raise UserError(
            f"the Java at {java} can't run the simulator of ScienceWorld ({error}); try: "
            f"{java} {' '.join(JAVA_OPTIONS)} -version"
        ) from error
    parameters = GatewayParameters(port=port, auth_token=secret)
    return JavaGateway(gateway_parameters=parameters), process


def _silence_py4j() -> None:
    """Its errors reach us as exceptions; it also writes them to its logger, and to the root's."""
    logging.getLogger("py4j").setLevel(logging.CRITICAL)
    logging.getLogger().addFilter(_is_not_of_py4j)


def _is_not_of_py4j(record: logging.LogRecord) -> bool:
    return Path(record.pathname).parent.name != "py4j"
