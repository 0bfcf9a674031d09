"""The command line as its users meet it: in a process of its own."""

import importlib.util
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from metaplan.episodes import RunStore

VERBS = [
    "demo", "run", "collect", "sft", "sample", "explore", "dpo", "evaluate", "report", "status",
    "tune", "show", "repair", "doctor", "plan", "data", "envs",
]  # fmt: skip


def test_help_lists_every_verb_and_loads_nothing_heavy(metaplan_command):
    answer = metaplan_command("--help")
    assert answer.returncode == 0
    assert all(verb in answer.stdout for verb in VERBS)
    code = (
        "import sys; from metaplan.cli import app\n"
        f"for verb in {VERBS}: app([verb, '--help'], result_action='return_value')\n"
        "heavy = {'torch', 'transformers', 'trl', 'textworld', 'alfworld', 'matplotlib'}\n"
        "sys.exit(str(heavy & set(sys.modules)) if heavy & set(sys.modules) else 0)\n"
    )
    command = [*metaplan_command.command()[:2], code]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Usage: metaplan") == len(VERBS)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["fly"], 'Unknown command "fly"'),
        (["run", "--out", "new"], "new holds no run: name a recipe"),
        (["run", "household-demo"], "--out"),
        (["run", "no-such", "--out", "new"], "no recipe 'no-such'. Built in:"),
        (["tune", "household-demo", "--out", "new"], "no field 'tuning'"),
        (["tune", "household-agent", "--out", "new", "--until", "never"], "never"),
        (["run", "household-agent", "--out", "new"], "'metaplan tune' does that"),
        (
            ["run", "household-demo", "--out", "new", "--set", "agent.model=local",
             "--set", "agent.path=absent"],
            "agent.path: there is no absent",
        ),
        (["run", "household-demo", "--out", "new", "--set", "seed"], "--set needs key=value"),
        (["run", "household-demo", "--out", "new", "--set", "seed=x"], "seed: Input should be"),
        (["run", "household-demo", "--out", "new", "--set", "sead=1"], "did you mean 'seed'?"),
        (["run", "garbage.yaml", "--out", "new"], "garbage.yaml"),
        (
            ["run", "household-demo", "--out", "new", "--set", "collect.seed_plans=bad.jsonl",
             "--set", "tasks.train.count=2"],
            "bad.jsonl, line 2: is not JSON",
        ),
        (["run", "alfworld-small", "--out", "new"], "metaplan data"),
        (["status", "absent"], "absent holds no run"),
        (["status", "damaged"], "is damaged, or no run's database"),
        (["show", "absent"], "absent holds no run"),
        (["plan", "put a mug in fridge", "--planner", "absent"], "absent is not a planner"),
        (["plan", " ", "--planner", "absent"], "the task's text is empty"),
        (["envs", "check", "chess"], "no benchmark is called 'chess'"),
    ],
    ids=lambda value: " ".join(value[:3]) if isinstance(value, list) else "",
)  # fmt: skip
def test_bad_input_ends_with_one_message_and_exit_code_2(
    metaplan_command, tmp_path, arguments, message
):
    (tmp_path / "garbage.yaml").write_text("name: [unclosed")
    (tmp_path / "bad.jsonl").write_text('{"instruction": "a", "plan": "Step 1: b"}\n{"instr\n')
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "run.db").write_bytes(b"no database" * 500)
    (tmp_path / "data").mkdir()
    environment = os.environ | {"METAPLAN_DATA": str(tmp_path / "data")}
    answer = metaplan_command(*arguments, cwd=tmp_path, env=environment)
    assert answer.returncode == 2, answer.stderr
    assert message in answer.stderr
    assert answer.stderr.count("error:") == 1
    assert "Traceback" not in answer.stderr
    assert answer.stdout == ""


def test_results_go_to_stdout_progress_to_stderr_and_neither_has_control_characters(
    metaplan_command, run_copy
):
    answer = metaplan_command("evaluate", "--out", run_copy)
    assert answer.returncode == 0, answer.stderr
    assert "Success rate" in answer.stdout
    assert "Success rate" not in answer.stderr
    assert "evaluate: " in answer.stderr
    assert "\x1b" not in answer.stdout + answer.stderr
    assert "…" not in answer.stdout  # nothing is cut off


def test_a_stage_ends_with_what_the_run_has_done(metaplan_command, run_copy):
    answer = metaplan_command("explore", "--out", run_copy)
    assert answer.returncode == 0, answer.stderr
    assert "mean reward" in answer.stdout
    assert answer.stdout == metaplan_command("status", run_copy).stdout


def test_a_dry_run_says_what_is_missing_and_changes_nothing(
    metaplan_command, tiny_recipe, run_copy
):
    before = {
        path: path.stat().st_mtime_ns for path in run_copy.rglob("*") if "run.db" not in path.name
    }
    answer = metaplan_command("run", tiny_recipe, "--out", run_copy, "--dry-run")
    assert answer.returncode == 0, answer.stderr
    assert "explore" in answer.stdout
    assert "≤ 0" in answer.stdout
    after = {
        path: path.stat().st_mtime_ns for path in run_copy.rglob("*") if "run.db" not in path.name
    }
    assert after == before


def test_an_episode_is_shown_by_the_beginning_of_its_key(metaplan_command, finished_run):
    listing = metaplan_command("show", finished_run).stdout
    keys = [line.split()[0] for line in listing.splitlines()]
    assert len(keys) == 20
    one = metaplan_command("show", finished_run, keys[0][:12]).stdout
    assert "Task" in one
    assert "Action: " in one
    with RunStore(finished_run, read_only=True) as store:
        every = sorted(store.finished_keys())
    twice = next(a[0] for a, b in itertools.pairwise(every) if a[0] == b[0])
    ambiguous = metaplan_command("show", finished_run, twice)
    assert ambiguous.returncode == 2
    assert f"'{twice}' is the beginning of several keys" in ambiguous.stderr
    missing = metaplan_command("show", finished_run, "zz")
    assert missing.returncode == 2
    assert "no finished episode has a key that begins with 'zz'" in missing.stderr


def test_a_trained_planner_writes_a_plan(metaplan_command, finished_run):
    instruction = json.loads(
        (finished_run / "datasets" / "plans-sft-seen.jsonl").read_text().splitlines()[0]
    )["instruction"]
    planner = finished_run / "planners" / "mpo"
    answer = metaplan_command("plan", "-", "--planner", planner, input=instruction)
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.startswith("Step 1: ")


def test_benchmarks_are_listed_and_checked_also_a_third_party_s(metaplan_command, shaky_installed):
    listed = metaplan_command("envs", "list")
    assert {"alfworld", "household", "shaky"} <= set(listed.stdout.replace("│", " ").split())
    checked = metaplan_command("envs", "check", "household")
    assert (checked.returncode, checked.stdout) == (
        0,
        "✓ household keeps the environment contract\n",
    )
    broken = metaplan_command("envs", "check", "shaky")  # it takes an empty action for valid
    assert broken.returncode == 1
    assert "✗" in broken.stdout


def test_a_reader_that_goes_away_is_not_complained_about(metaplan_command, finished_run):
    words = metaplan_command.command("show", finished_run)
    shown = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    shown.stdout.close()
    assert shown.stderr.read() == ""
    shown.stderr.close()
    assert shown.wait(timeout=30) in {0, 1}


@pytest.fixture
def kill_resume(monkeypatch):
    """The benchmark's functions."""
    path = Path(__file__).parents[2] / "benchmarks" / "kill_resume.py"
    spec = importlib.util.spec_from_file_location("kill_resume", path)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "kill_resume", module)
    spec.loader.exec_module(module)
    return module


LONG = "explore.episodes_per_plan=40"


def test_killing_an_exploration_twice_loses_and_doubles_nothing(
    kill_resume, finished_run, tmp_path
):
    outcome = kill_resume.kill_and_resume(finished_run, tmp_path, kills=2, seed=1, settings=(LONG,))
    assert outcome.is_exact
    assert len(outcome.kills) == 2
    assert outcome.kills[0].finished < outcome.kills[1].finished < outcome.planned
    assert not any(kill.orphans for kill in outcome.kills)


def test_ctrl_c_says_how_to_go_on_and_leaves_nothing_behind(
    metaplan_command, kill_resume, run_copy
):
    start = kill_resume.count(run_copy)
    words = metaplan_command.command(
        "explore", run_copy / "config.yaml", "--out", run_copy, "--set", LONG
    )
    process = subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    while kill_resume.count(run_copy) < start + 10 and process.poll() is None:
        time.sleep(0.01)
    status = metaplan_command("status", run_copy)  # while it runs
    workers = kill_resume.children(process.pid)
    os.killpg(process.pid, signal.SIGINT)
    out, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "interrupted: what is finished is saved" in said
    assert "Traceback" not in said
    assert out == ""
    assert kill_resume.still_there(workers) == 0
    assert status.returncode == 0
    assert "not finished" in status.stdout
    assert "planned episodes are missing" in status.stdout
    done = metaplan_command("explore", "--out", run_copy)
    assert done.returncode == 0, done.stderr
    assert "are there already" in done.stderr
