"""How a run is doing, asked of its database: cheap enough to ask while 83,000 episodes are played.

Nothing here reads an episode's turns, which are nearly all of the file: what is summed up over all
episodes is in one index, and what is new is at the end of the table.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import Field

from metaplan.core import Record
from metaplan.episodes.database import Database
from metaplan.episodes.lock import RunningProcess, running_process
from metaplan.models import Usage

__all__ = [
    "EpisodeSummary",
    "Rates",
    "RunStatus",
    "SlowTask",
    "StageStatus",
    "VoidCause",
    "read_run_status",
    "read_stages",
]

_WINDOW_S = 60.0
_FEWEST = 10  # episodes for a rate, also where they take longer than the window
_MOST = 5000
_CAUSES_SHOWN = 10
_SLOWEST_SHOWN = 5

# What differs between two messages of one cause: numbers, addresses, identifiers; not HTTP's codes.
_VARYING = re.compile(r"(?<!HTTP )(?<!\d)(?:0x[0-9a-f]+|[0-9a-f]{12,}|\d[\d.,:]*)", re.IGNORECASE)


class EpisodeSummary(Record):
    """What the finished episodes of one purpose add up to; means are per episode.

    Attributes:
        missing: Of those that were planned last, how many are not finished.
        at_most: Where the number of episodes is not fixed beforehand: more than that are never
            played. None where `missing` is all there is to do.
    """

    purpose: str
    episodes: int
    missing: int = 0
    at_most: int | None = None
    reward: float
    success: float
    steps: float
    prompt_tokens: int
    completion_tokens: int


class StageStatus(Record):
    """How far a stage is: `result` is None while it is not finished.

    Attributes:
        seconds: So far, over all processes.
    """

    seconds: float
    result: dict[str, Any] | None


class Rates(Record):
    """Work per second: of the last minute, or of the last ten episodes if they took longer.

    Pauses between two processes are not in it. All are 0 before the first episode.

    Attributes:
        newest_at: Unix time of the newest episode; None before the first.
    """

    episodes: float = 0.0
    turns: float = 0.0
    prompt_tokens: float = 0.0
    completion_tokens: float = 0.0
    newest_at: float | None = None


class VoidCause(Record):
    """Attempts that came to nothing for one cause; numbers in its wording make no difference.

    Attributes:
        cause: Stop reason and wording of the newest one.
        count: How many.
        newest_at: Unix time of the newest.
    """

    cause: str
    count: int
    newest_at: float


class SlowTask(Record):
    """A task whose episodes take long; seconds and steps are per episode."""

    task_key: str
    episodes: int
    mean_s: float
    max_s: float
    steps: float


class RunStatus(Record):
    """How a run is doing.

    Attributes:
        at: Unix time of this status.
        running: Who holds the run's lock; None where nobody does.
        stages: In the order in which they began.
        episodes: By purpose.
        rates: See `Rates`.
        tokens: By role: ``agent``, ``agent, void attempts``, ``planner``, ``prompted planner``,
            ``summariser``; roles that used none are left out.
        void: Attempts that came to nothing, by cause, the most frequent first.
        void_attempts: All of them, also those whose cause is not in `void`.
        void_causes: Different causes in all.
        slowest: Tasks by the mean duration of their episodes.
    """

    at: float
    running: RunningProcess | None
    stages: dict[str, StageStatus]
    episodes: tuple[EpisodeSummary, ...]
    rates: Rates
    tokens: dict[str, Usage]
    void: tuple[VoidCause, ...]
    void_attempts: int = Field(ge=0)
    void_causes: int = Field(ge=0)
    slowest: tuple[SlowTask, ...]


def read_run_status(database: Database) -> RunStatus:
    """How the run in a database is doing."""
    now = time.time()
    running = running_process(database.path.parent)
    stages = read_stages(database, now=now, running=running)
    episodes = tuple(_summaries(database, stages))
    causes = sorted(_void_causes(database), key=lambda cause: (-cause.count, cause.cause))
    return RunStatus(
        at=now,
        running=running,
        stages=stages,
        episodes=episodes,
        rates=_rates(database),
        tokens={role: usage for role, usage in _tokens(database, episodes) if _any(usage)},
        void=tuple(causes[:_CAUSES_SHOWN]),
        void_attempts=sum(cause.count for cause in causes),
        void_causes=len(causes),
        slowest=tuple(_slowest(database)),
    )


def read_stages(
    database: Database, *, now: float = 0.0, running: RunningProcess | None = None
) -> dict[str, StageStatus]:
    """How far each stage is, in the order in which they began.

    Args:
        database: Of the run.
        now: Unix time.
        running: Who is at work: the time of its stage so far is counted.
    """
    rows = database.read("SELECT name, seconds, result, began_at FROM stages ORDER BY rowid")
    stages = {}
    for name, seconds, result, began_at in rows:
        # One that an earlier process left unfinished is not under way.
        under_way = running and result is None and (began_at or 0.0) >= running.since
        stages[name] = StageStatus(
            seconds=seconds + (max(now - began_at, 0.0) if under_way else 0.0),
            result=json.loads(result) if result else None,
        )
    return stages


def _fact(database: Database, name: str) -> Any:
    found = database.read_as(json.loads, "SELECT value FROM meta WHERE name = ?", name)
    return found[0] if found else None


def _summaries(database: Database, stages: Mapping[str, StageStatus]) -> Iterator[EpisodeSummary]:
    """Counts and means of the finished episodes, per purpose, also of one that has none yet.

    What might have been played is no longer of interest once the stage of that name is finished.
    """
    rows = database.read(
        "SELECT purpose, COUNT(*), AVG(reward), AVG(success), AVG(steps), SUM(prompt_tokens), "
        "SUM(completion_tokens) FROM episodes GROUP BY purpose ORDER BY MIN(rowid)"
    )
    played = {purpose for purpose, *_ in rows}
    planned = database.read("SELECT substr(name, 8) FROM meta WHERE name LIKE 'target/%'")
    rows += [(purpose, 0, 0.0, 0.0, 0.0, 0, 0) for (purpose,) in planned if purpose not in played]
    for purpose, episodes, reward, success, steps, prompt_tokens, completion_tokens in rows:
        open_ended = purpose not in stages or stages[purpose].result is None
        at_most = _fact(database, f"at most/{purpose}") if open_ended else None
        yield EpisodeSummary(
            purpose=purpose,
            episodes=episodes,
            missing=max((_fact(database, f"target/{purpose}") or 0) - episodes, 0),
            at_most=None if at_most is None else max(at_most - episodes, 0),
            reward=reward,
            success=success,
            steps=steps,
            prompt_tokens=prompt_tokens,
            completion_tokens=completion_tokens,
        )


def _rates(database: Database) -> Rates:
    """Goes back from the newest episode, in the order of their commits."""
    row, since = _fact(database, "playing since row") or (0, None)
    newest = database.read(
        "SELECT finished_at, steps, prompt_tokens, completion_tokens FROM episodes "
        "WHERE rowid > ? ORDER BY rowid DESC LIMIT ?",
        row,
        _MOST,
    )
    if not newest:
        rows = database.read("SELECT finished_at FROM episodes ORDER BY rowid DESC LIMIT 1")
        return Rates(newest_at=rows[0][0] if rows else None)
    before = [at for at, *_ in newest[1:]]
    if since is not None and len(newest) < _MOST:
        before.append(since)
    seconds, count = 0.0, 0
    for (at, *_), earlier in zip(newest, before, strict=False):
        seconds += max(at - earlier, 0.0)  # a clock that went back took no time
        count += 1
        if seconds >= _WINDOW_S and count >= _FEWEST:
            break
    if seconds == 0.0:
        return Rates(newest_at=newest[0][0])
    _, turns, prompt_tokens, completion_tokens = map(sum, zip(*newest[:count], strict=True))
    return Rates(
        episodes=count / seconds,
        turns=turns / seconds,
        prompt_tokens=prompt_tokens / seconds,
        completion_tokens=completion_tokens / seconds,
        newest_at=newest[0][0],
    )


def _tokens(
    database: Database, episodes: tuple[EpisodeSummary, ...]
) -> Iterator[tuple[str, Usage]]:
    yield (
        "agent",
        _usage(
            sum(summary.prompt_tokens for summary in episodes),
            sum(summary.completion_tokens for summary in episodes),
        ),
    )
    yield (
        "agent, void attempts",
        _usage(*database.read("SELECT SUM(prompt_tokens), SUM(completion_tokens) FROM voids")[0]),
    )
    for prompted, *tokens in database.read(
        "SELECT name IS NOT NULL, SUM(prompt_tokens), SUM(completion_tokens) FROM plan_samples "
        "LEFT JOIN meta ON name = 'prompted/' || planner GROUP BY 1 ORDER BY 1"
    ):
        yield "prompted planner" if prompted else "planner", _usage(*tokens)
    yield (
        "summariser",
        _usage(
            *database.read(
                "SELECT SUM(record ->> '$.usage.prompt_tokens'), "
                "SUM(record ->> '$.usage.completion_tokens') FROM completions"
            )[0]
        ),
    )


def _usage(prompt_tokens: int | None, completion_tokens: int | None) -> Usage:
    return Usage(prompt_tokens=prompt_tokens or 0, completion_tokens=completion_tokens or 0)


def _any(usage: Usage) -> bool:
    return usage.prompt_tokens + usage.completion_tokens > 0


def _void_causes(database: Database) -> Iterator[VoidCause]:
    """One for each cause, whatever numbers, ports and identifiers are in its wording."""
    rows = database.read(
        "SELECT stop_reason || ': ' || cause, COUNT(*), MAX(at) FROM voids GROUP BY 1"
    )
    alike: dict[str, list[tuple[str, int, float]]] = {}
    for cause, count, newest_at in rows:
        alike.setdefault(_VARYING.sub("#", cause), []).append((cause, count, newest_at))
    for group in alike.values():
        cause, _, newest_at = max(group, key=lambda member: member[2])
        count = sum(members for _, members, _ in group)
        yield VoidCause(cause=cause, count=count, newest_at=newest_at)


def _slowest(database: Database) -> Iterator[SlowTask]:
    rows = database.read(
        "SELECT task_key, COUNT(*), AVG(duration_s), MAX(duration_s), AVG(steps) FROM episodes "
        "GROUP BY purpose, task_key ORDER BY 3 DESC, 1 LIMIT ?",
        _SLOWEST_SHOWN,
    )
    for task_key, episodes, mean_s, max_s, steps in rows:
        yield SlowTask(
            task_key=task_key, episodes=episodes, mean_s=mean_s, max_s=max_s, steps=steps
        )
