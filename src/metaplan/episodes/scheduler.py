"""Runs planned episodes: many at a time, each until it counts, none twice."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from metaplan.agents import Agent, run_episode
from metaplan.core import Episode, EpisodeSpec, RunError
from metaplan.environments import Benchmark
from metaplan.episodes.concurrency import for_each
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
    """

    planned: int
    resumed: int
    void: tuple[str, ...]


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
    """

    store: RunStore
    pool: EnvironmentPool
    agent: Agent
    benchmark: Benchmark
    retry: RetryPolicy
    concurrency: int

    async def run(
        self,
        specs: Sequence[EpisodeSpec],
        *,
        purpose: str,
        on_episode: Callable[[Episode], None] | None = None,
    ) -> EpisodesDone:
        """Runs those of the planned episodes that the store lacks.

        Episodes of one task and plan stay together in the order of the list, so that a loaded
        game and a served model's prefix cache are reused.

        Args:
            specs: The target; equal specs (equal plans) are one episode.
            purpose: What the episodes are for, as counted in the store.
            on_episode: Called after each commit and after each void attempt.

        Raises:
            RunError: Too many void attempts in a row, or all episodes came to nothing; nothing
                that finished is lost.
        """
        target = {spec.key: spec for spec in specs}
        finished = self.store.finished_keys()
        missing = [spec for key, spec in target.items() if key not in finished]
        health = _Health(self.retry.give_up_after + self.concurrency)
        void: list[str] = []

        async def attempt(spec: EpisodeSpec) -> None:
            if not await self._run_one(spec, purpose, health, on_episode):
                void.append(spec.key)

        await for_each(missing, attempt, limit=self.concurrency)
        if target and len(void) == len(target):
            raise health.error(f"all {len(target)} episodes came to nothing")
        return EpisodesDone(
            planned=len(target), resumed=len(target) - len(missing), void=tuple(void)
        )

    async def _run_one(
        self,
        spec: EpisodeSpec,
        purpose: str,
        health: _Health,
        on_episode: Callable[[Episode], None] | None,
    ) -> bool:
        """Tries until the episode counts; False when no attempt did."""
        for attempt in range(1, self.retry.attempts + 1):
            episode = await run_episode(
                spec,
                agent=self.agent,
                benchmark=self.benchmark,
                open_environment=lambda: self.pool.open(spec.task),
            )
            self.store.add_episode(episode, purpose)
            if on_episode is not None:
                on_episode(episode)
            health.note(episode)
            if not episode.stop_reason.is_void:
                return True
            if attempt < self.retry.attempts:
                await asyncio.sleep(self.retry.wait_s(attempt))
        return False


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
        self._voids_in_a_row += 1
        self._last = f"{episode.stop_reason.value}: {episode.cause}"
        if self._voids_in_a_row >= self._give_up_after:
            raise self.error(f"{self._voids_in_a_row} attempts in a row came to nothing")

    def error(self, what: str) -> RunError:
        """What happened, with the last cause and what to do."""
        return RunError(
            f"{what}; the last cause: {self._last}. Finished episodes are saved; put the cause "
            f"right and run the same command again to resume"
        )
