"""ScienceWorld's simulator, without what its Python wrapper does beside it.

The wrapper derives all valid actions, the inventory and a description of the room in every step,
starts one JVM for each episode, and computes the expert's path again at every reset. Here one JVM
holds any number of simulators, and a step is one call. That reaches below the package's public
interface, so it is done in this module alone, for the one version that it was written for, and
checked against the public interface whenever a JVM starts.

What the simulators of one JVM share are a random generator and a counter of object ids. Both are
put back to where a world left them when its turn comes again: every world runs as if it were alone.
(They share the simplifications too, which only matter while a task is being loaded.) One chance is
left, as in the package itself: things are kept in sets whose order depends on hashes that Java
draws. Equal hashes for all would make equal actions give equal texts (``-XX:hashCode=2``), but a
step takes 40% more CPU then, and bees no longer find to the flowers.
"""

from __future__ import annotations

import logging
import subprocess
from collections.abc import Iterator
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

JAVA_OPTIONS = (
    "-Xms256m",
    "-Xmx512m",
    "-XX:+UseSerialGC",
    "-XX:-UsePerfData",
)
"""Of the JVM: half a gigabyte of heap, enough for hundreds of worlds."""

_SCRAMBLING = 0x5DEECE66D  # what java.util.Random does to a seed to get its state
_OPEN_INSIDE = ("--add-opens=java.base/java.util=ALL-UNNAMED",)  # to see a random generator's state
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
            self._shared = _Shared(self._gateway.jvm)
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
        """A new simulator; several may be alive and take turns.

        Raises:
            EnvironmentFault: The JVM is gone.
        """
        with self.faults():
            return FastSimulator(self, self._shared, self._interface())

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

    def gold_path(self, task_name: str, variation: int, luck: int = 0) -> tuple[list[str], bool]:
        """The actions of the simulator's own expert, and whether they solved the task.

        Seconds of work.

        Raises:
            EnvironmentFault: The JVM is gone, or its expert failed.
        """
        with self.faults():
            server = self._interface()
            self._shared.turn_to(World())
            _load(server, task_name, variation)
            self._shared.draw(luck)
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


@dataclass(slots=True)
class World:
    """What belongs to one world of what its JVM has once.

    Attributes:
        random: State of the random generator.
        ids: How many objects were made.
    """

    random: int = 0
    ids: int = 0


class _Shared:
    """What all simulators of a JVM share, and whose it is now."""

    def __init__(self, jvm: Any) -> None:
        self._random = getattr(getattr(jvm.scala.util, "Random$"), "MODULE$").self()
        self._state = jvm.java.lang.Class.forName("java.util.Random").getDeclaredField("seed")
        self._state.setAccessible(True)
        self._ids = jvm.util.UniqueIdentifier
        self._world = World()

    def turn_to(self, world: World) -> None:
        """Remembers how far the last world was, and goes on where the given one stopped."""
        if world is self._world:
            return
        self._world.random, self._world.ids = self._state.get(self._random), self._ids.count()
        self._random.setSeed(world.random ^ _SCRAMBLING)
        getattr(self._ids, "count_$eq")(world.ids)
        self._world = world

    def draw(self, luck: int) -> None:
        """Lets chance go another way than the one that a task's variation has."""
        if luck:
            self._random.setSeed(seed_from(luck))  # small seeds begin with nearly equal numbers


class FastSimulator:
    """A simulator in a JVM that it shares with others."""

    def __init__(self, jvm: Jvm, shared: _Shared, server: Any) -> None:
        self._jvm = jvm
        self._shared = shared
        self._server = server
        self._world = World()
        self._agent: Any = None

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
            self._shared.turn_to(self._world)
            _load(self._server, task_name, variation)
            self._shared.draw(luck)
            getattr(self._server, "taskMaker_$eq")(None)  # all tasks there are: 10 MB, done with
            self._agent = self._server.agentInterface().get()
            description = self._server.getTaskDescription()
            seen = _read(self._agent.step("look around").toString())
            return Opening(description, seen.text, seen.score)

    def step(self, action: str) -> Outcome:
        """Does one action.

        Raises:
            EnvironmentFault: The JVM is gone, or the simulator broke.
        """
        action = action.encode("utf-8", "replace").decode()  # half characters can't be sent
        if action.strip().lower() in _META_COMMANDS:  # answered by the outer interface alone
            return self.stock_step(action)
        with self._jvm.faults():
            self._shared.turn_to(self._world)
            outcome = _read(self._agent.step(action).toString())
            if outcome.score < 0 and self._agent.isInErrorState():
                raise EnvironmentFault(f"the simulator broke: {outcome.text}")
            return outcome

    def stock_step(self, action: str) -> Outcome:
        """Does one action through the package's own interface."""
        with self._jvm.faults():
            self._shared.turn_to(self._world)
            text = self._server.step(action)
            return Outcome(text, self._server.getScore(), self._server.getCompleted())


def _load(server: Any, task_name: str, variation: int) -> None:
    problem = server.load(task_name, variation, simplifications(task_name), False)
    if problem:
        raise EnvironmentFault(f"{task_name}, variation {variation}: {problem}")


def _read(outcome: str) -> Outcome:
    """Reads a Scala triple, printed as ``(text,score,completed)``."""
    text, score, completed = outcome[1:-1].rsplit(",", 2)
    return Outcome(text or _NOTHING_SAID, float(score), completed == "true")


def _launch() -> tuple[Any, subprocess.Popen[bytes]]:
    """Starts the JVM with py4j's server in it, which only answers to who knows a secret."""
    from py4j.java_gateway import GatewayParameters, JavaGateway, launch_gateway
    from scienceworld.constants import BASEPATH, JAR_PATH

    _silence_py4j()
    java = find_java()
    try:
        port, secret, process = launch_gateway(
            classpath=JAR_PATH,
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
