"""Runs planned episodes: many at a time, each until it counts, none twice."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from functools import partial

from metaplan.agents import Agent, run_episode
from metaplan.core import Episode, EpisodeSpec, RunError, StopReason
from metaplan.environments import Benchmark
from metaplan.episodes.backlog import Backlog
from metaplan.episodes.pool import EnvironmentPool
from metaplan.episodes.retry import RetryPolicy
from metaplan.episodes.store import RunStore

__all__ = ["EpisodeRunner", "EpisodesDone"]


@dataclass(frozen=True, kw_only=True)
class EpisodesDone:
    """The outcome of running a list of planned episodes.

    Attributes:
        planned: Distinct episodes that were asked for.
        resumed: Of these, how many were there already.
        void: Keys of episodes that came to nothing in all attempts.
        left: How many were not played to their end, as the runner was asked to stop.
    """

    planned: int
    resumed: int
    void: tuple[str, ...] = ()
    left: int = 0


@dataclass(frozen=True, kw_only=True)
class EpisodeRunner:
    """All that episodes need to run.

    Attributes:
        store: Where finished episodes are committed.
        pool: Environment workers.
        agent: Who acts.
        benchmark: For prompts and limits.
        retry: What happens to void episodes.
        concurrency: Most episodes in flight.
        grace_s: Seconds that episodes in flight get to finish when the runner is asked to stop.
    """

    store: RunStore
    pool: EnvironmentPool
    agent: Agent
    benchmark: Benchmark
    retry: RetryPolicy
    concurrency: int
    grace_s: float = 30.0

    async def run(
        self,
        specs: Sequence[EpisodeSpec],
        *,
        purpose: str,
        on_episode: Callable[[Episode], None] | None = None,
        stopping: asyncio.Event | None = None,
    ) -> EpisodesDone:
        """Runs those of the planned episodes that the store lacks.

        Episodes of one task and plan stay together in the order of the list, so that a loaded
        game and a served model's prefix cache are reused.

        Args:
            specs: The target; equal specs (equal plans) are one episode.
            purpose: What the episodes are for, as counted in the store.
            on_episode: Called after each commit and after each void attempt.
            stopping: Once it is set, no episode begins; those in flight get `grace_s` to finish.

        Raises:
            RunError: Too many void attempts in a row, or all episodes came to nothing; nothing
                that finished is lost.
        """
        target = {spec.key: spec for spec in specs}
        finished = self.store.finished_keys()
        missing = [spec for key, spec in target.items() if key not in finished]
        health = _Health(self.retry.give_up_after + self.concurrency)
        backlog = Backlog(missing, self.retry)

        async def play() -> None:
            while (attempt := await backlog.next()) is not None:
                episode = await run_episode(
                    attempt.spec,
                    agent=self.agent,
                    benchmark=self.benchmark,
                    open_environment=partial(self.pool.open, attempt.spec.task),
                )
                self.store.add_episode(episode, purpose)
                backlog.settle(attempt, episode)
                if on_episode is not None:
                    on_episode(episode)
                health.note(episode)

        await self._all_at_a_time(play, backlog, stopping or asyncio.Event())
        if target and len(backlog.void) == len(target):
            raise health.error(f"all {len(target)} episodes came to nothing")
        return EpisodesDone(
            planned=len(target),
            resumed=len(target) - len(missing),
            void=tuple(backlog.void),
            left=backlog.unsettled,
        )

    async def _all_at_a_time(
        self,
        play: Callable[[], Coroutine[None, None, None]],
        backlog: Backlog,
        stopping: asyncio.Event,
    ) -> None:
        """Lets so many play as there may be episodes in flight, until nothing is left to do.

        Raises:
            Exception: The first error of one of them, itself; the others are cancelled.
        """

        async def watch(limit: asyncio.Timeout) -> None:
            await stopping.wait()
            backlog.stop()
            limit.reschedule(asyncio.get_running_loop().time() + self.grace_s)

        limit = asyncio.timeout(None)
        try:
            async with limit:
                watcher = asyncio.create_task(watch(limit))
                try:
                    async with asyncio.TaskGroup() as group:
                        for _ in range(min(self.concurrency, backlog.unsettled)):
                            group.create_task(play())
                finally:
                    watcher.cancel()
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None
        except TimeoutError:
            if not limit.expired():
                raise


class _Health:
    """Whether anything works at all: stops the run when nothing does any more."""

    def __init__(self, give_up_after: int) -> None:
        self._give_up_after = give_up_after
        self._voids_in_a_row = 0
        self._last = ""

    def note(self, episode: Episode) -> None:
        """Counts void attempts in a row.

        Raises:
            RunError: There were too many.
        """
        if not episode.stop_reason.is_void:
            self._voids_in_a_row = 0
            return
        self._last = f"{episode.stop_reason.value}: {episode.cause}"
        if episode.stop_reason is StopReason.CANCELLED:
            return  # many at once, from a single cause
        self._voids_in_a_row += 1
        if self._voids_in_a_row >= self._give_up_after:
            raise self.error(f"{self._voids_in_a_row} attempts in a row came to nothing")

    def error(self, what: str) -> RunError:
        """What happened, with the last cause and what to do."""
        return RunError(
            f"{what}; the last cause: {self._last}. Finished episodes are saved; put the cause "
            f"right and run the same command again to resume"
        )
