from __future__ import annotations

import io

from rich.console import Console

from metaplan.core import MetaPlan, StopReason
from metaplan.reports import differences_table, render_episode, results_table


def printed(renderable, *, width=100, colour=False):
    console = Console(
        file=io.StringIO(),
        width=width,
        force_terminal=colour,
        highlight=False,
        legacy_windows=False,
    )
    console.print(renderable)
    return console.file.getvalue()


def test_the_table_has_a_line_per_method_and_the_numbers_of_the_results(results):
    text = printed(results_table(results))
    for method in ("No plan", "SFT", "RFT", "MPO"):
        assert method in text
    row = next(
        r
        for r in results.rows
        if (r.split, r.method, r.metric, r.task_type) == ("unseen", "mpo", "success", "all")
    )
    low, high = 100 * row.ci_low, 100 * row.ci_high
    assert f"{100 * row.mean:.1f} [{low:.1f}, {high:.1f}]" in text
    assert "Reward per step" in text


def test_the_table_fits_a_terminal_of_eighty_columns(results):
    text = printed(results_table(results), width=80)
    assert max(map(len, text.splitlines())) <= 80
    assert "…" not in text


def test_a_dense_reward_gets_lines_of_its_own_and_a_binary_one_does_not(results):
    rows = tuple(
        r.model_copy(update={"mean": 0.9, "ci_high": 1.0}) if r.metric == "reward" else r
        for r in results.rows
    )
    dense = results.model_copy(update={"rows": rows})
    assert "Average reward" in printed(results_table(dense))
    assert "Average reward" not in printed(results_table(results))


def test_differences_come_with_their_verdict(results):
    text = printed(differences_table(results))
    assert "MPO \N{MINUS SIGN} No plan" in text
    assert "higher" in text
    assert "not distinguishable" in text


def test_results_without_rows_give_an_empty_table(results):
    empty = results.model_copy(update={"rows": (), "differences": ()})
    assert results_table(empty).row_count == 0
    assert differences_table(empty).row_count == 0


def test_an_episode_reads_from_task_to_outcome(sample):
    task = sample.task(1)
    episode = sample.episode(task, "mpo", solved=True, steps=6)
    text = printed(render_episode(episode, task, sample.plan("lettuce")))
    order = ["Your task is to", "Step 1:", "Action: go to countertop 2", "solved", "6 steps"]
    places = [text.index(part) for part in order]
    assert places == sorted(places)
    assert "[invalid]" in text


def test_untrusted_text_is_neither_markup_nor_terminal_control(sample):
    task = sample.task(1).model_copy(update={"instruction": "[bold]task[/bold] \x1b[2Jgone"})
    plan = MetaPlan(steps=("open [link=http://x]it[/link]", "[/nonsense]"))
    episode = sample.episode(task, "mpo", solved=False, steps=2, stop=StopReason.MODEL_ERROR)
    episode = episode.model_copy(update={"cause": "timeout [red]now\x07"})
    text = printed(render_episode(episode, task, plan), colour=True)
    for literal in ("[bold]task[/bold]", "[link=http://x]it[/link]", "[/nonsense]", "[red]now"):
        assert literal in text
    assert "\x1b[2J" not in text
    assert "\x07" not in text
