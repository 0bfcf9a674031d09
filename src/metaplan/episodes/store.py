"""What a run has done so far, typed: what is in it has happened, what is not has to be done.

Every finished episode is one committed transaction before it counts.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Self

from metaplan.core import (
    Episode,
    ExpertTrajectory,
    MetaPlan,
    Task,
)
from metaplan.episodes.database import Database
from metaplan.episodes.status import RunStatus, StageStatus, read_run_status, read_stages
from metaplan.models import Completion, Usage
from metaplan.planners import PlanSample

__all__ = ["RunStore"]

_EPISODE_COLUMNS = (
    "key, round, task_key, environment, plan_key, placement, agent, repetition, reward, success, "
    "stop_reason, prompt_tokens, completion_tokens, duration_s, turns"
)

_PAUSE_S = 10.0  # without an episode: what comes then is a play of its own


class RunStore:
    """The typed view of a run's database.

    Args:
        directory: The run directory.
        read_only: For `status` and `show`: takes no lock, writes nothing.

    Raises:
        RunError: Another process runs in this directory, there is no run, or the file is
            damaged; the message says what to do.
    """

    def __init__(self, directory: Path, *, read_only: bool = False) -> None:
        self._database = Database(directory, read_only=read_only)
        self._epoch = time.time() - time.monotonic()
        self._newest_at = -math.inf

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the file and gives up the lock. Safe to call twice."""
        self._database.close()

    def _now(self) -> float:
        """Unix time, as it would be if nobody had set the clock since this store was opened."""
        return self._epoch + time.monotonic()

    # -- facts and stages

    def fact(self, name: str) -> Any:
        """A JSON value kept under a name; None where there is none."""
        found = self._database.read_as(json.loads, "SELECT value FROM meta WHERE name = ?", name)
        return found[0] if found else None

    def set_fact(self, name: str, value: Any) -> None:
        """Keeps a JSON value under a name."""
        self._database.write(
            ("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, json.dumps(value)))
        )

    def begin_stage(self, name: str) -> None:
        """Notes that a stage is under way; also one that was finished, for a run may grow."""
        self._database.write(
            (
                "INSERT INTO stages (name, seconds, began_at) VALUES (?, 0, ?) "
                "ON CONFLICT (name) DO UPDATE SET result = NULL, began_at = excluded.began_at",
                (name, self._now()),
            )
        )

    def finish_stage(self, name: str, result: dict[str, Any]) -> None:
        """Keeps what a stage left."""
        self._database.write(
            ("UPDATE stages SET result = ? WHERE name = ?", (json.dumps(result), name))
        )

    def add_stage_time(self, name: str, seconds: float) -> None:
        """Adds the time that a stage took in this process, finished or interrupted."""
        self._database.write(
            ("UPDATE stages SET seconds = seconds + ? WHERE name = ?", (seconds, name))
        )

    def stages(self) -> dict[str, StageStatus]:
        """How far each stage is, in the order in which they began."""
        with self._database.making_sense():
            return read_stages(self._database)

    def status(self) -> RunStatus:
        """How the run is doing."""
        with self._database.making_sense():
            return read_run_status(self._database)

    # -- tasks and experts

    def add_tasks(self, tasks: Iterable[Task]) -> None:
        """Keeps tasks with their instructions."""
        statement = "INSERT OR REPLACE INTO tasks VALUES (?, ?, ?)"
        self._database.write(
            *((statement, (task.task_set, task.key, task.model_dump_json())) for task in tasks)
        )

    def tasks(self, task_set: str | None = None) -> dict[str, Task]:
        """Tasks with instructions, by key: those of a set, or all."""
        tasks = self._database.read_as(
            Task.model_validate_json,
            "SELECT record FROM tasks WHERE ? IS NULL OR task_set = ? ORDER BY key",
            task_set,
            task_set,
        )
        return {task.key: task for task in tasks}

    def add_trajectory(self, trajectory: ExpertTrajectory) -> None:
        """Keeps an expert's trajectory."""
        values = (trajectory.task.key, trajectory.model_dump_json())
        self._database.write(("INSERT OR REPLACE INTO trajectories VALUES (?, ?)", values))

    def trajectories(self) -> dict[str, ExpertTrajectory]:
        """Expert trajectories by task key."""
        found = self._database.read_as(
            ExpertTrajectory.model_validate_json,
            "SELECT record FROM trajectories ORDER BY task_key",
        )
        return {trajectory.task.key: trajectory for trajectory in found}

    def add_demonstration(self, person: int, trajectory: ExpertTrajectory) -> None:
        """Keeps the episode that a person played for tuning."""
        shown = trajectory.plan.key if trajectory.plan else ""
        values = (trajectory.task.key, person, shown, trajectory.model_dump_json())
        self._database.write(("INSERT OR REPLACE INTO demonstrations VALUES (?, ?, ?, ?)", values))

    def demonstrations(self) -> dict[tuple[str, int, str | None], ExpertTrajectory]:
        """Demonstrations by task key, person, and the key of the plan that was shown."""
        found = self._database.read_as(
            lambda person, record: (person, ExpertTrajectory.model_validate_json(record)),
            "SELECT person, record FROM demonstrations ORDER BY task_key, person, plan_key",
        )
        return {
            (shown.task.key, person, shown.plan.key if shown.plan else None): shown
            for person, shown in found
        }

    # -- plans

    def add_plan_samples(self, planner: str, samples: Iterable[PlanSample]) -> None:
        """Keeps a planner's completions, with the plans in them."""
        statements: list[tuple[str, Sequence[Any]]] = []
        for sample in samples:
            plan = sample.plan
            if plan is not None:
                record = (plan.key, plan.model_dump_json())
                statements.append(("INSERT OR IGNORE INTO plans VALUES (?, ?)", record))
            values = (
                planner,
                sample.task_key,
                sample.index,
                plan.key if plan else None,
                sample.raw,
                sample.usage.prompt_tokens,
                sample.usage.completion_tokens,
            )
            statements.append(
                ("INSERT OR REPLACE INTO plan_samples VALUES (?, ?, ?, ?, ?, ?, ?)", values)
            )
        self._database.write(*statements)

    def plan_samples(self, planner: str) -> dict[str, list[PlanSample]]:
        """A planner's samples by task key, in the order of their indices."""
        found = self._database.read_as(
            _plan_sample,
            "SELECT task_key, number, raw, record, prompt_tokens, completion_tokens "
            "FROM plan_samples LEFT JOIN plans ON plan_key = key WHERE planner = ? "
            "ORDER BY task_key, number",
            planner,
        )
        samples: dict[str, list[PlanSample]] = {}
        for sample in found:
            samples.setdefault(sample.task_key, []).append(sample)
        return samples

    def plan(self, key: str) -> MetaPlan | None:
        """A plan by its key."""
        found = self._database.read_as(
            MetaPlan.model_validate_json, "SELECT record FROM plans WHERE key = ?", key
        )
        return found[0] if found else None

    # -- answers of models outside episodes

    def add_completion(self, request: str, completion: Completion) -> None:
        """Keeps the answer to a request, which is named by a digest of all that shapes it."""
        values = (request, completion.model_dump_json())
        self._database.write(("INSERT OR IGNORE INTO completions VALUES (?, ?)", values))

    def completion(self, request: str) -> Completion | None:
        """The answer to a request; None where it was never answered."""
        found = self._database.read_as(
            Completion.model_validate_json,
            "SELECT record FROM completions WHERE request = ?",
            request,
        )
        return found[0] if found else None

    # -- episodes

    def add_episode(self, episode: Episode, purpose: str) -> None:
        """Commits one attempt: a finished episode, or the trace of a void one.

        Args:
            episode: What happened.
            purpose: ``explore`` or ``evaluate``: for counts; an episode serves any purpose.
        """
        if episode.stop_reason.is_void:
            values: tuple[Any, ...] = (
                episode.key,
                episode.task_key,
                episode.stop_reason,
                episode.cause,
                self._now(),
                episode.prompt_tokens,
                episode.completion_tokens,
            )
            self._database.write(("INSERT INTO voids VALUES (?, ?, ?, ?, ?, ?, ?)", values))
            return
        values = (
            episode.key, purpose, episode.round, episode.task_key, episode.environment,
            episode.plan_key, episode.placement, episode.agent, episode.repetition,
            episode.reward, episode.success, episode.stop_reason, episode.steps,
            episode.prompt_tokens, episode.completion_tokens, episode.duration_s, self._now(),
            json.dumps([turn.model_dump() for turn in episode.turns]),
        )  # fmt: skip
        slots = ", ".join("?" * len(values))
        self._database.write((f"INSERT OR IGNORE INTO episodes VALUES ({slots})", values))
        self._newest_at = self._now()

    def finished_keys(self) -> set[str]:
        """Keys of all finished episodes."""
        return {key for (key,) in self._database.read("SELECT key FROM episodes")}

    def set_missing(self, purpose: str, missing: int, *, at_most: int | None = None) -> None:
        """Notes how many episodes are about to be played, so that `status` can say what is left.

        Args:
            purpose: As in `add_episode`.
            missing: Planned episodes that are not finished.
            at_most: Where more may be planned later: most episodes still to play, these included.
        """
        done = self._count(purpose)
        self.set_fact(f"target/{purpose}", done + missing)
        self.set_fact(f"at most/{purpose}", None if at_most is None else done + at_most)
        if self._now() > self._newest_at + _PAUSE_S:  # the next round of a play is no new one
            ((row,),) = self._database.read("SELECT MAX(rowid) FROM episodes")
            self.set_fact("playing since row", [row or 0, self._now()])

    def _count(self, purpose: str) -> int:
        rows = self._database.read("SELECT COUNT(*) FROM episodes WHERE purpose = ?", purpose)
        return int(rows[0][0])

    def episodes(self, keys: Iterable[str]) -> Iterator[Episode]:
        """Those of the given episodes that are finished, in the order of the keys."""
        for key in keys:
            yield from self._database.read_as(
                _episode, f"SELECT {_EPISODE_COLUMNS} FROM episodes WHERE key = ?", key
            )

    def rewards(self, keys: Iterable[str]) -> dict[str, float]:
        """Rewards of those of the given episodes that are finished, by key.

        No episode's turns are read: those of the paper's exploration don't fit into memory.
        """
        found = dict(self._database.read("SELECT key, reward FROM episodes"))
        return {key: found[key] for key in keys if key in found}

    def episode_keys(self, beginning: str, limit: int = 10) -> list[str]:
        """Keys of finished episodes that begin with the given digits, for `metaplan show`."""
        rows = self._database.read(
            "SELECT key FROM episodes WHERE substr(key, 1, length(?)) = ? ORDER BY key LIMIT ?",
            beginning,
            beginning,
            limit,
        )
        return [key for (key,) in rows]

    def newest_episodes(self, limit: int = 20) -> list[str]:
        """Keys of the episodes that finished last, the newest first."""
        rows = self._database.read(
            "SELECT key FROM episodes ORDER BY finished_at DESC LIMIT ?", limit
        )
        return [key for (key,) in rows]

    def void_causes(self) -> dict[str, int]:
        """How many attempts came to nothing, by stop reason and cause."""
        return dict(
            self._database.read(
                "SELECT stop_reason || ': ' || cause, COUNT(*) FROM voids "
                "GROUP BY 1 ORDER BY 2 DESC, 1"
            )
        )


def _plan_sample(*row: Any) -> PlanSample:
    task_key, number, raw, record, prompt_tokens, completion_tokens = row
    return PlanSample(
        task_key=task_key,
        index=number,
        plan=MetaPlan.model_validate_json(record) if record else None,
        raw=raw,
        usage=Usage(prompt_tokens=prompt_tokens, completion_tokens=completion_tokens),
    )


def _episode(*row: Any) -> Episode:
    """An episode from its columns (`_EPISODE_COLUMNS`)."""
    fields = dict(zip(_EPISODE_COLUMNS.split(", "), row, strict=True))
    return Episode(**fields | {"turns": json.loads(fields["turns"])})
