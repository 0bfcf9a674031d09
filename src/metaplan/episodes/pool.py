"""Environment workers, seen from asyncio: which gets what, and what happens when one is lost.

Simulators are slow pure-Python or JVM code and not thread-safe, so they live in processes, here or
on other machines (`executors`). A task goes to a worker that has it loaded already, unless there
is a queue and another worker is idle; else to the one with the least to do. A worker that dies or
hangs faults the episode that it was busy with, cancels the others on it, and is replaced.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
from collections import OrderedDict
from types import TracebackType
from typing import Any, Self, cast

from metaplan.core import (
    EnvironmentFault,
    EpisodeCancelled,
    ExpertTrajectory,
    MetaPlan,
    RunError,
    Task,
)
from metaplan.environments import Observation, StepResult
from metaplan.episodes.executors import Executor, LocalExecutor, Worker
from metaplan.episodes.host import LOADED_TASKS_KEPT

__all__ = ["EnvironmentPool", "RemoteEnvironment"]

_LONG_QUEUE = 4  # operations; waiting for so many costs more than loading the task once more
_MUTE = 4  # workers lost in a row, beyond two generations, before one has answered anything
_TRY_AGAIN_S = 10.0  # to replace a lost worker, while others do the work

_log = logging.getLogger(__name__)


class _Place:
    """A worker, and what the pool has given it to do."""

    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        self.environments = 0
        self.outstanding = 0
        self.has_answered = False
        self._loaded: OrderedDict[tuple[str, str], None] = OrderedDict()
        self._turn = asyncio.Lock()

    def holds(self, task: Task) -> bool:
        """Whether it has a task loaded."""
        return (task.task_set, task.key) in self._loaded

    def note_load(self, task: Task) -> None:
        """Keeps count of what the host keeps loaded."""
        name = (task.task_set, task.key)
        self._loaded[name] = None
        self._loaded.move_to_end(name)
        while len(self._loaded) > LOADED_TASKS_KEPT:
            self._loaded.popitem(last=False)

    async def call(self, operation: str, *arguments: Any, timeout_s: float) -> Any:
        """Sends one request when its turn comes, and waits for the answer.

        Raises:
            EnvironmentFault: See `Worker.ask`.
            EpisodeCancelled: The worker was lost before.
        """
        self.outstanding += 1
        try:
            async with self._turn:  # one at a time: the time-out then is the operation's own
                if not self.worker.alive:
                    raise EpisodeCancelled(f"{self.worker.ending}, busy with another episode")
                try:
                    return await self.worker.ask(operation, arguments, timeout_s)
                finally:
                    self.has_answered |= self.worker.alive
        finally:
            self.outstanding -= 1


class RemoteEnvironment:
    """One episode's environment in a worker; `EnvironmentPool.open` makes it."""

    def __init__(self, place: _Place, task: Task, number: int, timeout_s: float) -> None:
        self._place = place
        self._task = task
        self._number = number
        self._timeout_s = timeout_s
        self._open = True
        place.environments += 1

    async def reset(self) -> Observation:
        """Starts the episode.

        Raises:
            EnvironmentFault: The worker died, hung, or its environment raised.
            EpisodeCancelled: The worker was lost with another episode.
        """
        return cast("Observation", await self._call("reset", self._task))

    async def step(self, action: str) -> StepResult:
        """Does one action.

        Raises:
            EnvironmentFault: The worker died, hung, or its environment raised.
            EpisodeCancelled: The worker was lost with another episode.
        """
        return cast("StepResult", await self._call("step", action))

    async def _call(self, operation: str, argument: Any) -> Any:
        return await self._place.call(operation, self._number, argument, timeout_s=self._timeout_s)

    async def close(self) -> None:
        """Frees the environment, without waiting for a worker that is busy; never raises."""
        if self._open:
            self._open = False
            self._place.environments -= 1
            self._place.worker.post("close", (self._number,))


class EnvironmentPool:
    """A fixed number of workers; use as an async context manager.

    Args:
        workers: How many; one a core is right where the environment is the work.
        timeout_s: Seconds that one operation (a load, a step) may take before its worker is
            killed and replaced; waiting for one's turn in the worker does not count.
        executor: Where they run; None is this machine. The pool closes it.
    """

    def __init__(
        self, workers: int, *, timeout_s: float = 120.0, executor: Executor | None = None
    ) -> None:
        if workers < 1:
            raise ValueError(f"workers must be at least 1, got {workers}")
        self._size = workers
        self._timeout_s = timeout_s
        self._executor: Executor = executor or LocalExecutor()
        self._places: list[_Place] = []
        self._numbers = itertools.count()
        self._arrival = asyncio.Event()
        self._replacing: asyncio.Task[None] | None = None
        self._closed = False
        self._mute: list[str] = []  # how those ended that never answered, since one did
        self.restarts = 0

    async def start(self) -> None:
        """Starts the workers.

        Raises:
            RunError: There is no place for them.
        """
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(self._size):
                    group.create_task(self._start_one())
        except BaseExceptionGroup as errors:
            await self.close()
            raise errors.exceptions[0] from None

    async def _start_one(self) -> None:
        self._places.append(_Place(await self._executor.start_worker()))
        self._arrival.set()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Ends the workers, busy ones by force. Safe to call twice."""
        self._closed = True
        if self._replacing is not None:
            self._replacing.cancel()
            with contextlib.suppress(asyncio.CancelledError, RunError):
                await self._replacing
        places, self._places = self._places, []
        await asyncio.gather(*(place.worker.close() for place in places))
        await self._executor.close()

    @property
    def processes(self) -> list[int]:
        """Process ids of the workers that are alive."""
        return [place.worker.pid for place in self._places if place.worker.alive]

    @property
    def environments(self) -> int:
        """Open environments, over all workers."""
        return sum(place.environments for place in self._places)

    async def open(self, task: Task) -> RemoteEnvironment:
        """Makes an environment for one episode of a task; `reset` does the loading.

        Raises:
            EnvironmentFault: The pool is closed.
            RunError: All workers were lost, and there is no place for others, or they don't start.
        """
        return RemoteEnvironment(
            await self._place_for(task), task, next(self._numbers), self._timeout_s
        )

    async def describe(self, task: Task) -> Task:
        """The task with its instruction: what a reset shows.

        Raises:
            EnvironmentFault: The task can't be loaded.
            RunError: See `open`.
        """
        place = await self._place_for(task)
        text = await place.call("describe", task, timeout_s=self._timeout_s)
        return task.model_copy(update={"instruction": text})

    async def expert(self, task: Task) -> ExpertTrajectory:
        """The expert's trajectory of a task.

        Raises:
            EnvironmentFault: There is no expert, or it failed.
            RunError: See `open`.
        """
        place = await self._place_for(task)
        answer = await place.call("expert", task, timeout_s=self._timeout_s)
        return cast("ExpertTrajectory", answer)

    async def demonstrate(
        self, task: Task, person: int | None, plan: MetaPlan | None, varied: bool
    ) -> ExpertTrajectory:
        """A person's episode of a task; see `Benchmark.demonstrate`.

        Raises:
            EnvironmentFault: Nobody demonstrates the benchmark, or it failed.
            RunError: See `open`.
        """
        place = await self._place_for(task)
        asked = (task, person, plan, varied)
        answer = await place.call("demonstrate", *asked, timeout_s=self._timeout_s)
        return cast("ExpertTrajectory", answer)

    async def _place_for(self, task: Task) -> _Place:
        if self._closed:
            raise EnvironmentFault("the environment workers have been closed")
        if self._is_hopeless:
            raise RunError(
                f"{len(self._mute)} environment workers in a row were lost before they answered "
                f"anything, the last one so: {self._mute[-1]}. What they said is above. Finished "
                f"episodes are saved; put the cause right, then give the same command again"
            )
        replacing = self._replace_the_lost()
        if replacing is not None and not self._living:
            await self._wait_for_one(replacing)
        place = self._choose(task)
        place.note_load(task)
        return place

    def _choose(self, task: Task) -> _Place:
        places = self._living
        if not places:
            raise EnvironmentFault("the environment worker died as soon as it was started")
        idlest = min(places, key=lambda place: (place.outstanding, place.environments))
        holders = [place for place in places if place.holds(task)]
        holder = min(holders, key=lambda holder: holder.outstanding, default=idlest)
        crowded = holder.outstanding >= _LONG_QUEUE and idlest.outstanding == 0
        return idlest if crowded else holder

    @property
    def _living(self) -> list[_Place]:
        return [place for place in self._places if place.worker.alive]

    @property
    def _is_hopeless(self) -> bool:
        """Whether workers don't even start: others would not, either."""
        return len(self._mute) >= _MUTE + 2 * self._size

    def _replace_the_lost(self) -> asyncio.Task[None] | None:
        """Sees to it that workers are replaced; the task that does it, where there is one."""
        if self._replacing is None or self._replacing.done():
            if len(self._living) == self._size:
                return None
            self._replacing = asyncio.create_task(self._replace())
        return self._replacing

    async def _replace(self) -> None:
        """Ends when all workers are alive; goes on with fewer where there is no place for more.

        Raises:
            RunError: There is no place for a single one.
        """
        while (had := await self._bury_the_lost()) < self._size and not self._is_hopeless:
            starts = (self._start_one() for _ in range(self._size - had))
            outcomes = await asyncio.gather(*starts, return_exceptions=True)
            errors = [outcome for outcome in outcomes if outcome is not None]
            if not errors:
                continue
            if not isinstance(errors[0], RunError) or not (had or self._living):
                raise errors[0]
            _log.warning("%d of %d workers: %s", len(self._living), self._size, errors[0])
            if self._living:
                await asyncio.sleep(_TRY_AGAIN_S)

    async def _bury_the_lost(self) -> int:
        """Forgets workers that are not alive; how many there are that are."""
        lost = [place for place in self._places if not place.worker.alive]
        self._places = self._living
        self._arrival.clear()
        self.restarts += len(lost)
        if any(place.has_answered for place in (*self._places, *lost)):
            self._mute.clear()
        await asyncio.gather(*(place.worker.close() for place in lost))
        self._mute += [place.worker.ending for place in lost if not place.has_answered]
        return len(self._places)

    async def _wait_for_one(self, replacing: asyncio.Task[None]) -> None:
        """Waits until a worker is there, or it is clear that none will be.

        Raises:
            RunError: None will be.
        """
        arrival = asyncio.create_task(self._arrival.wait())
        try:
            await asyncio.wait((arrival, replacing), return_when=asyncio.FIRST_COMPLETED)
        finally:
            arrival.cancel()
        if not self._living:
            await asyncio.shield(replacing)
