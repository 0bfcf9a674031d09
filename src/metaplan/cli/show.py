"""`metaplan show`: one episode, readable."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.console import Console

from metaplan.cli.consoles import results
from metaplan.core import UserError
from metaplan.episodes import RunStore
from metaplan.reports import render_episode

__all__ = ["show"]


def show(
    directory: Annotated[Path, Parameter(help="Run directory.")],
    episode: Annotated[str, Parameter(help="Key of the episode, or its first digits.")] = "",
    /,
) -> None:
    """Show one episode of a run turn by turn; without a key, list the newest ones."""
    console = results()
    with RunStore(directory, read_only=True) as store:
        if not episode:
            _list(console, store)
            return
        keys = store.episode_keys(episode)
        if not keys:
            raise UserError(f"no finished episode has a key that begins with '{episode}'")
        if len(keys) > 1:
            raise UserError(f"'{episode}' is the beginning of several keys: {', '.join(keys)}")
        (found,) = store.episodes(keys)
        plan = store.plan(found.plan_key) if found.plan_key else None
        console.print(render_episode(found, store.tasks()[found.task_key], plan))


def _list(console: Console, store: RunStore) -> None:
    for key in store.newest_episodes():
        (found,) = store.episodes([key])
        console.print(
            f"{key}  {found.stop_reason.value:<15} {found.steps:>3} steps  {found.task_key}",
            markup=False,
            highlight=False,
        )
