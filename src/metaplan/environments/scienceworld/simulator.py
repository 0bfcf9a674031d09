"""ScienceWorld's simulator, without what its Python wrapper does beside it.

The wrapper derives all valid actions, the inventory and a description of the room in every step,
starts one JVM for each episode, and computes the expert's path again at every reset. Here one JVM
holds any number of worlds, and a step is one call. Java classes of ours run beside the simulator
there (`jvm`): they let worlds take turns as if each were alone, read actions as the simulator's own
parser does in a tenth of its time, and make no tasks that are not asked for. All that reaches below
the package's public interface, so it is done in this module and those classes alone, for the one
version that they were written for, and checked against the public interface whenever a JVM starts.

One chance is left, as in the package itself: things are kept in sets whose order depends on hashes
that Java draws. Equal hashes for all would make equal actions give equal texts
(``-XX:hashCode=2``), but a step takes 40% more CPU then, and bees no longer find to the flowers.
(The worlds of a JVM share the simplifications too, which only matter while a task is being loaded.)
"""

from __future__ import annotations

import logging
import os
import subprocess
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Protocol

from metaplan.core import EnvironmentFault, MissingDependencyError, UserError, seed_from
from metaplan.environments.scienceworld.java import find_java
from metaplan.environments.scienceworld.jvm import JAR

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

JAVA_OPTIONS = (
    "-Xms256m",
    "-Xmx512m",
    "-Xmn160m",
    "-XX:+UseSerialGC",
    "-XX:-UsePerfData",
)
"""Of the JVM: half a gigabyte of heap, enough for hundreds of worlds."""

_OPEN_INSIDE = ("--add-opens=java.base/java.util=ALL-UNNAMED",)  # to see a random generator's state
_FOLDS = {"train": "getVariationsTrain", "dev": "getVariationsDev", "test": "getVariationsTest"}
_META_COMMANDS = frozenset({"help", "objects", "task"})
_NOTHING_SAID = (
    "Unknown action.  Type 'help' for a list of actions, "
    "and 'objects' for a list of possible object referents. "
)
_LOOK = "look around"
_CHECKED = (_LOOK, "teleport to kitchen", "open cupboard", "focus on object", "dance")


class UnexpectedSimulatorError(Exception):
    """The simulator's inside is not what this module was written for."""


@dataclass(frozen=True, slots=True)
class Opening:
    """What a loaded task shows.

    Attributes:
        description: The task, in the simulator's words: "Your task is to …".
        room: What the agent sees around it.
        score: Before the first action, in [0, 1]; in some tasks it is above 0.
    """

    description: str
    room: str
    score: float


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

    def load(self, task_name: str, variation: int, luck: int = 0) -> Opening:
        """Builds the world of a task, as at the beginning of an episode.

        Args:
            task_name: As the simulator calls it, e.g. ``boil``.
            variation: Which of its variations.
            luck: 0 for the chance that the variation has; others for experts who need another.
        """

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

    Attributes:
        worlds: The Java class `World`.

    Raises:
        MissingDependencyError: ``scienceworld`` is not installed.
        UserError: There is no Java, or it does not start.
        UnexpectedSimulatorError: The simulator does not behave as this module expects.
    """

    def __init__(self) -> None:
        if installed_version() != VERSION:
            raise UnexpectedSimulatorError(f"scienceworld {installed_version()} is not {VERSION}")
        self._gateway, self._process = _launch()
        try:
            self.worlds = self._gateway.jvm.metaplan.scienceworld.World
            self._silence()
            self._check()
        except Exception as error:
            self.stop()
            raise UnexpectedSimulatorError(f"{type(error).__name__}: {error}") from error
        except BaseException:
            self.stop()
            raise

    @property
    def alive(self) -> bool:
        """Whether it can be reached."""
        return self._process.poll() is None

    @property
    def pid(self) -> int:
        """Process id of the JVM."""
        return int(self._process.pid)

    def simulator(self) -> FastSimulator:
        """A new simulator; several may be alive and take turns."""
        return FastSimulator(self)

    def interface(self) -> Any:
        """A new interface of the package; no simulator's turn is on while it is used."""
        self.worlds.pause()
        return self._gateway.jvm.scienceworld.runtime.pythonapi.PythonInterface()

    def variations(self) -> dict[str, dict[str, list[int]]]:
        """Task name to fold (``train``, ``dev``, ``test``) to the numbers of its variations.

        Raises:
            EnvironmentFault: The JVM is gone.
        """
        with self.faults():
            server = self.interface()
            found = {}
            for name in sorted(server.getTaskNames()):
                getattr(server, "taskStr_$eq")(name)
                found[name] = {fold: list(getattr(server, ask)()) for fold, ask in _FOLDS.items()}
            return found

    def gold_path(self, task_name: str, variation: int, luck: int = 0) -> tuple[list[str], bool]:
        """The actions of the simulator's own expert, and whether they solved the task.

        Seconds of work.

        Raises:
            EnvironmentFault: The JVM is gone, or its expert failed.
        """
        with self.faults():
            server = self.interface()
            problem = server.load(task_name, variation, simplifications(task_name), False)
            if problem:
                raise EnvironmentFault(f"{task_name}, variation {variation}: {problem}")
            if luck:
                self.worlds.draw(seed_from(luck))
            actions = list(server.taskMaker().createGoldActions(task_name, variation, server)._1())
            return actions, server.getCompleted()

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

    def stop(self) -> None:
        """Ends the JVM. Safe to call twice."""
        self._process.kill()
        self._process.wait()
        self._gateway.close()

    def _silence(self) -> None:
        """The simulator prints much, and all of it would go through a pipe."""
        io = self._gateway.jvm.java.io
        nowhere = io.PrintStream(io.OutputStream.nullOutputStream())
        self._gateway.jvm.java.lang.System.setOut(nowhere)

    def _check(self) -> None:
        """Compares a world and its parser with what the package's own interface has and does."""
        server, easier = self.interface(), simplifications("boil")
        server.load("boil", 0, easier, False)
        theirs = server.getTaskDescription(), self.worlds.shared()
        world = self.worlds.load("boil", 0, easier)
        ours = world.getTaskDescription(), self.worlds.shared()
        if ours != theirs:
            raise UnexpectedSimulatorError(f"the world {ours} instead of {theirs}")
        seen, shown = _read(world.act(_LOOK)), _read(world.actThrough(server, _LOOK))
        if seen != shown or not seen.text.startswith("This room is called"):
            raise UnexpectedSimulatorError(f"{seen} instead of {shown}")
        if misread := [said for said in _CHECKED if len(set(world.readings(said))) > 1]:
            self.worlds.parseQuickly(False)
            warnings.warn(
                "ScienceWorld reads actions with the simulator's own parser, which takes several "
                f"times the CPU: ours misreads {misread[0]!r}",
                RuntimeWarning,
                stacklevel=2,
            )


class FastSimulator:
    """A simulator in a JVM that it shares with others.

    Attributes:
        world: The Java object `World` of the running task; None before the first.
    """

    def __init__(self, jvm: Jvm) -> None:
        self._jvm = jvm
        self.world: Any = None

    @property
    def alive(self) -> bool:
        """Whether its JVM can be reached."""
        return self._jvm.alive

    def load(self, task_name: str, variation: int, luck: int = 0) -> Opening:
        """Builds the world of a task; it replaces the one before.

        A look around is the first action, as in the package's own reset: it is from then on that
        the simulator notices, and scores, that the agent moves.

        Raises:
            EnvironmentFault: The JVM is gone, or the simulator can't build this world.
        """
        with self._jvm.faults():
            self.world = self._jvm.worlds.load(task_name, variation, simplifications(task_name))
            if luck:
                self._jvm.worlds.draw(seed_from(luck))
            seen = _read(self.world.act(_LOOK))
            return Opening(self.world.getTaskDescription(), seen.text, seen.score)

    def step(self, action: str) -> Outcome:
        """Does one action.

        Raises:
            EnvironmentFault: The JVM is gone, or the simulator broke.
        """
        action = action.encode("utf-8", "replace").decode()  # half characters can't be sent
        if action.strip().lower() in _META_COMMANDS:  # answered by the outer interface alone
            return self.stock_step(action)
        with self._jvm.faults():
            return _read(self.world.act(action))

    def stock_step(self, action: str) -> Outcome:
        """Does one action through the package's own interface.

        Raises:
            EnvironmentFault: The JVM is gone, or the simulator broke.
        """
        with self._jvm.faults():
            return _read(self.world.actThrough(self._jvm.interface(), action))


def _read(outcome: str) -> Outcome:
    """Reads what `World` returns: score, completed and text, with blanks between."""
    score, completed, text = outcome.split(" ", 2)
    return Outcome(text or _NOTHING_SAID, float(score), completed == "true")


def _launch() -> tuple[Any, subprocess.Popen[bytes]]:
    """Starts the JVM with py4j's server in it, which only answers to who knows a secret."""
    from py4j.java_gateway import GatewayParameters, JavaGateway, launch_gateway
    from scienceworld.constants import BASEPATH, JAR_PATH

    _silence_py4j()
    java = find_java()
    try:
        port, secret, process = launch_gateway(
            classpath=os.pathsep.join([JAR_PATH, str(JAR)]),
            javaopts=[*JAVA_OPTIONS, *_OPEN_INSIDE],
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
