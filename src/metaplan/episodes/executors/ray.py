"""Workers as actors of a Ray cluster: on many machines, or on this one.

An actor holds an `EnvironmentHost` and nothing else: models are asked, and the store is written, by
the driver alone. Ray is told to restart and to repeat nothing, because the pool knows better what
a lost worker's episodes are worth.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import queue
import re
import signal
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import partial
from typing import Any, Self, TypeVar

from pydantic import Field, field_validator

from metaplan.core import EnvironmentFault, MissingDependencyError, Record, RunError
from metaplan.episodes.executors.actor import EnvironmentActor, Facts, facts_of

__all__ = ["RayExecutor", "RaySettings", "RayWorker"]

_REACH_TIMEOUT_S = 5.0
_CLOSE_TIMEOUT_S = 15.0
_LOST_NODE_WAIT_S = 1.0  # Ray needs some seconds to see that a node is lost
_OBJECT_STORE_B = 100 * 2**20  # of a local Ray; messages are too small to go there
T = TypeVar("T")


class RaySettings(Record):
    """Where Ray is, and what a worker asks of it.

    Attributes:
        address: ``host:port`` of the head node, or ``auto`` for the cluster that this machine
            belongs to; null takes ``$RAY_ADDRESS``, and without that starts Ray here, for this run.
        cpus_per_worker: Of a node's CPUs, as Ray counts them: how many workers find a place.
        start_timeout_s: Longest time for Ray to start or to answer, and for a worker to find a
            place and start; more where nodes are started on demand.
    """

    address: str | None = None
    cpus_per_worker: float = Field(default=0.5, gt=0.0)
    start_timeout_s: float = Field(default=60.0, gt=0.0)

    @field_validator("address")
    @classmethod
    def _no_client(cls, address: str | None) -> str | None:
        if address is not None and "://" in address:
            raise ValueError(
                "give the head node as host:port and run on a machine of the cluster; Ray's "
                f"client ({address}) is too slow for steps"
            )
        return address


class RayExecutor:
    """Starts actors (an `Executor`); `connect` makes it."""

    def __init__(
        self, settings: RaySettings, calls: _Calls, facts: Facts, here: dict[str, str], owner: bool
    ) -> None:
        self._settings = settings
        self._calls = calls
        self._facts = facts
        self._here = here
        self._owns_connection = owner
        self._workers: list[RayWorker] = []
        self._kind = _actor_class(settings.cpus_per_worker)

    @classmethod
    async def connect(
        cls, settings: RaySettings, *, benchmark: str = "", task_sets: Sequence[str] = ()
    ) -> Self:
        """Starts Ray here, or joins a cluster; a connection that this process has is used.

        Args:
            settings: Where, and how long to wait.
            benchmark: Whose tasks are played, and
            task_sets: which: every worker must have the same ones.

        Raises:
            MissingDependencyError: Ray is not installed.
            RunError: There is no cluster at the address, or it can't be joined.
        """
        calls = _Calls()
        try:
            return await cls._connect(settings, calls, partial(facts_of, benchmark, task_sets))
        except BaseException:
            calls.end()
            raise

    @classmethod
    async def _connect(cls, settings: RaySettings, calls: _Calls, facts: Facts) -> Self:
        ray = await calls.do(_import_ray)
        address = settings.address or os.environ.get("RAY_ADDRESS") or "local"
        here = await calls.do(facts)
        owner = not ray.is_initialized()
        if owner:
            await _check_reachable(address)
            try:
                async with asyncio.timeout(settings.start_timeout_s):
                    await calls.do(partial(_init, ray, address))
            except TimeoutError:
                raise RunError(
                    f"{_place(address)} did not answer within {settings.start_timeout_s:g} s: see "
                    f"that it runs ('ray status --address …' on this machine), set RAY_AUTH_MODE="
                    f"token if its nodes have a token (they do by default), or raise "
                    f"runtime.ray.start_timeout_s"
                ) from None
            except Exception as error:
                calls.submit(ray.shutdown)
                raise RunError(f"{_place(address)} can't be used: {error}") from error
            finally:
                _take_back_sigterm()
        return cls(settings, calls, facts, here, owner)

    async def cores(self) -> int:
        """The CPUs of all nodes, as Ray counts them."""
        resources = await self._calls.do(_import_ray().cluster_resources)
        return max(1, int(resources.get("CPU", 0)))

    async def start_worker(self) -> RayWorker:
        """Starts an actor, and makes sure that it plays the same tasks.

        Raises:
            RunError: It found no place, could not start, or has other versions or data.
        """
        ray = _import_ray()
        try:
            async with asyncio.timeout(self._settings.start_timeout_s):
                worker = await self._start_actor(ray)
                while worker is None:
                    await asyncio.sleep(_LOST_NODE_WAIT_S)
                    worker = await self._start_actor(ray)
        except TimeoutError:
            raise RunError(await self._no_place(ray)) from None
        except ray.exceptions.RayError as error:
            raise RunError(
                f"an environment worker can't start on Ray: {_why(error)}; every node needs this "
                f"version of metaplan, with the benchmark's extra and data"
            ) from None
        self._workers = [*(other for other in self._workers if other.alive), worker]
        return worker

    async def _start_actor(self, ray: Any) -> RayWorker | None:
        """None where Ray has sent it to a node that has just been lost."""
        actor = await self._calls.do(partial(self._kind.remote, *_surroundings()))
        kill = partial(self._calls.submit, partial(ray.kill, actor))
        try:
            pid, node, there = await actor.check.remote(self._facts)
            _check_same(node, self._here, there)
        except BaseException as error:
            kill()
            if _is_lost_node(error):
                return None
            raise
        return RayWorker(actor, pid, kill)

    async def _no_place(self, ray: Any) -> str:
        has, free = await self._calls.do(
            lambda: (ray.cluster_resources().get("CPU", 0), ray.available_resources().get("CPU", 0))
        )
        nodes = sum(node["Alive"] for node in await self._calls.do(ray.nodes))
        running = sum(worker.alive for worker in self._workers)
        return (
            f"Ray found no place for an environment worker within "
            f"{self._settings.start_timeout_s:g} s: it asks for {self._settings.cpus_per_worker:g} "
            f"CPU beside the {running} that run, and the cluster has {has:g} CPU ({free:g} free; "
            f"nodes: {nodes}). Set runtime.workers or runtime.ray.cpus_per_worker lower, add "
            f"nodes, or give them more time with runtime.ray.start_timeout_s"
        )

    async def close(self) -> None:
        """Leaves the cluster; ends a Ray that was started here. Safe to call twice."""
        if self._owns_connection:
            self._owns_connection = False
            ray = _import_ray()
            try:
                async with asyncio.timeout(_CLOSE_TIMEOUT_S):
                    await self._calls.do(partial(ray.shutdown, wait_for_processes=True))
            except TimeoutError:
                logging.getLogger(__name__).warning("Ray did not end in time")
        self._calls.end()


class RayWorker:
    """An actor (a `Worker`)."""

    def __init__(self, actor: Any, pid: int, kill: Callable[[], object]) -> None:
        self.pid = pid
        self.ending = ""
        self._actor = actor
        self._kill = kill

    @property
    def alive(self) -> bool:
        """Until it is found to be lost, or was given up."""
        return not self.ending

    async def ask(self, operation: str, arguments: tuple[Any, ...], timeout_s: float) -> Any:
        """See `Worker.ask`."""
        from ray.exceptions import RayActorError, RayTaskError

        try:
            async with asyncio.timeout(timeout_s):
                fine, value = await self._actor.answer.remote(operation, arguments)
        except TimeoutError:
            self._give_up("the environment worker hung")
            raise EnvironmentFault(
                f"the environment did not answer '{operation}' within {timeout_s:g} s"
            ) from None
        except RayTaskError as error:  # the host catches all but what can't be sent
            raise EnvironmentFault(_why(error)) from None
        except RayActorError as error:
            self._give_up(f"the environment worker died ({_why(error)})")
            raise EnvironmentFault(self.ending) from None
        except Exception as error:  # a class that can't be read here, for example
            self._give_up(f"the environment worker's answer can't be read: {error}")
            raise EnvironmentFault(self.ending) from None
        if not fine:
            raise EnvironmentFault(value)
        return value

    def post(self, operation: str, arguments: tuple[Any, ...]) -> None:
        """See `Worker.post`."""
        if self.alive:
            self._actor.answer.remote(operation, arguments)

    async def close(self) -> None:
        """See `Worker.close`."""
        self._give_up("the environment worker has been closed")

    def _give_up(self, ending: str) -> None:
        if self.alive:
            self.ending = ending
            self._kill()


class _Calls:
    """Ray's blocking calls, done one after the other in a thread that lasts.

    It is one thread because Linux ends what a thread has started, such as Ray's processes here,
    when the thread ends; and a daemon, because a call that hangs must not keep the program.
    """

    def __init__(self) -> None:
        self._waiting: queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None]
        self._waiting = queue.SimpleQueue()
        threading.Thread(target=self._work, name="ray-calls", daemon=True).start()

    def submit(self, call: Callable[[], T]) -> Future[T]:
        future: Future[T] = Future()
        self._waiting.put((future, call))
        return future

    async def do(self, call: Callable[[], T]) -> T:
        return await asyncio.wrap_future(self.submit(call))

    def end(self) -> None:
        """Ends the thread when all calls are done."""
        self._waiting.put(None)

    def _work(self) -> None:
        # What a thread starts inherits this. A signal to the terminal's or the job's processes is
        # for this program, which then finishes what is in flight.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
        while (item := self._waiting.get()) is not None:
            future, call = item
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(call())
                except BaseException as error:
                    future.set_exception(error)


def _check_same(node: str, here: dict[str, str], there: dict[str, str] | str) -> None:
    if isinstance(there, str):
        raise RunError(f"the node {node} can't play: {there}")
    differing = [name for name in sorted(here | there) if here.get(name) != there.get(name)]
    if differing:
        words = ", ".join(f"{name} {here.get(name)}, there {there.get(name)}" for name in differing)
        raise RunError(
            f"the node {node} has other versions or data than this machine ({words}): install the "
            f"same on all nodes"
        )


def _import_ray() -> Any:
    try:
        import ray
    except ImportError:
        raise MissingDependencyError("ray", "ray") from None
    return ray


async def _check_reachable(address: str) -> None:
    """Finds out at once what Ray would find out after minutes.

    Raises:
        RunError: Nothing listens there.
    """
    host, colon, port = address.rpartition(":")
    if not colon:  # "auto" or "local"
        return
    try:
        async with asyncio.timeout(_REACH_TIMEOUT_S):
            _, writer = await asyncio.open_connection(host.strip("[]"), int(port))
    except (OSError, ValueError) as error:
        reason = str(error) or f"no answer within {_REACH_TIMEOUT_S:g} s"
        raise RunError(
            f"{_place(address)} can't be reached ({reason}): give the host:port that 'ray start "
            f"--head' printed, as runtime.ray.address or RAY_ADDRESS"
        ) from None
    writer.close()


def _place(address: str) -> str:
    names = {"local": "Ray on this machine", "auto": "a Ray cluster that this machine belongs to"}
    return names.get(address, f"the Ray cluster at {address}")


def _init(ray: Any, address: str) -> None:
    # What Ray's processes have to say would go to this program's output, page-long, in all cases.
    ray._private.worker._worker_logs_enabled = False
    ours = {"include_dashboard": False, "object_store_memory": _OBJECT_STORE_B}
    ray.init(
        address=address,
        log_to_driver=False,
        logging_level=logging.ERROR,
        **(ours if address == "local" else {}),
    )


def _take_back_sigterm() -> None:
    """Ray's core puts a handler before Python's that fills the screen, and aborts the second time.

    Setting the same handler once more takes it away.
    """
    handler = signal.getsignal(signal.SIGTERM)
    with contextlib.suppress(ValueError, TypeError):  # not the main thread, or not Python's handler
        signal.signal(signal.SIGTERM, handler)
        signal.siginterrupt(signal.SIGTERM, False)  # as asyncio has it


def _actor_class(cpus: float) -> Any:
    return _import_ray().remote(
        num_cpus=cpus,
        max_restarts=0,
        max_concurrency=1,
        scheduling_strategy="SPREAD",
        enable_task_events=False,  # nobody looks at Ray's record of every step
    )(EnvironmentActor)


def _surroundings() -> tuple[dict[str, str], list[str]]:
    """What an environment needs of this process's: variables, and directories of modules."""
    data = os.environ.get("METAPLAN_DATA")
    path = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    return {"METAPLAN_DATA": data} if data else {}, [entry for entry in path if entry]


def _is_lost_node(error: BaseException) -> bool:
    from ray.exceptions import ActorUnavailableError, RayActorError

    died_with_it = isinstance(error, RayActorError) and "node has died" in str(error)
    return died_with_it or isinstance(error, ActorUnavailableError)


def _why(error: Exception) -> str:
    """The one sentence of Ray's page that says what happened; without ids, so that it counts."""
    from ray.exceptions import RayTaskError

    if isinstance(error, RayTaskError):
        return f"{type(error.cause).__name__}: {error.cause}"
    if _is_lost_node(error):
        return "its node was lost"
    detail = str(error).rpartition("Worker exit detail: ")[2].strip().splitlines()[-1]
    return re.split(r"\.\s", detail)[0].rstrip(".")
