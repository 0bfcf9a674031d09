"""A database that was cut, scribbled over or mispaired: it is said, and what can be is saved."""

import contextlib
import os
import random
import re
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from metaplan.core import (
    Episode,
    EpisodeSpec,
    ExpertStep,
    ExpertTrajectory,
    MetaPlan,
    Placement,
    RunError,
    StopReason,
    Task,
    Turn,
)
from metaplan.episodes import RunStore, repair_database
from metaplan.models import Completion, Usage
from metaplan.planners import PlanSample

TASKS = [
    Task(key=f"t/{number}", benchmark="b", task_set="s", task_type="k", instruction="go " * 300)
    for number in range(8)
]
PLANS = [MetaPlan(steps=(f"Take object {number}.", "Put it there.")) for number in range(3)]


def episode(task: Task, plan: MetaPlan, repetition: int) -> Episode:
    spec = EpisodeSpec(
        task=task, environment="e", plan=plan, placement=Placement.INSTRUCTION, agent="a",
        repetition=repetition,
    )  # fmt: skip
    dice = random.Random(spec.key)
    won = dice.random() < 0.5
    turns = [
        Turn(
            reply=f"Thought: ✓ {dice.random()}\nAction: go {number}",
            action=f"go {number}",
            observation="".join(dice.choices("abc {}\u2028", k=dice.randrange(20, 900))),
            reward=0.0,
        )
        for number in range(dice.randrange(1, 8))
    ]
    turns.append(turns[-1].model_copy(update={"reward": 0.75 if won else 0.0}))
    return Episode(
        key=spec.key,
        task_key=task.key,
        environment="e",
        plan_key=plan.key,
        placement=spec.placement,
        agent="a",
        repetition=repetition,
        turns=tuple(turns),
        reward=turns[-1].reward,
        success=False,
        stop_reason=StopReason.STEP_LIMIT,
        prompt_tokens=900,
        completion_tokens=80,
        duration_s=dice.random(),
    )


EPISODES = [
    episode(task, plan, repetition) for task in TASKS for plan in PLANS for repetition in range(5)
]


def fill(store: RunStore) -> None:
    """Everything that a run keeps."""
    store.set_fact("a fact", {"x": [1, None]})
    store.begin_stage("explore")
    store.add_tasks(TASKS)
    for task in TASKS:
        step = ExpertStep(action="go", observation="you go")
        expert = ExpertTrajectory(
            task=task, steps=(step,) * 9, reward=1.0, success=True, source="test"
        )
        store.add_trajectory(expert)
        for person, plan in enumerate([None, PLANS[0]]):
            store.add_demonstration(person, expert.model_copy(update={"plan": plan}))
        store.add_plan_samples(
            "planner",
            [
                PlanSample(task_key=task.key, index=index, plan=plan, raw=f"{plan}")
                for index, plan in enumerate([*PLANS, None])
            ],
        )
        store.add_completion(f"request {task.key}", Completion(text="yes", usage=Usage()))
    for one in EPISODES:
        store.add_episode(one, "explore")
        if one.repetition == 0:
            void = {"stop_reason": StopReason.MODEL_ERROR, "cause": "outage"}
            store.add_episode(one.model_copy(update=void), "explore")
    store.finish_stage("explore", {"episodes": len(EPISODES)})


@pytest.fixture(scope="session")
def sound_run(tmp_path_factory) -> Path:
    """A run's directory with a sound database; not to be written to."""
    directory = tmp_path_factory.mktemp("sound") / "run"
    with RunStore(directory) as store:
        fill(store)
    return directory


@pytest.fixture
def run(sound_run, tmp_path) -> Path:
    return Path(shutil.copytree(sound_run, tmp_path / "run"))


def rows(path: Path) -> dict[str, set[tuple]]:
    """All that is in a database, by table."""
    with closing(sqlite3.connect(path)) as connection:
        tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        return {
            name: set(connection.execute(f"SELECT * FROM {name}")) for (name,) in tables.fetchall()
        }


def use(directory: Path, *, read_only: bool) -> None:
    """Reads all that a run reads."""
    with RunStore(directory, read_only=read_only) as store:
        store.status()
        store.tasks()
        store.trajectories()
        store.demonstrations()
        store.plan_samples("planner")
        store.fact("a fact")
        for task in TASKS:
            store.completion(f"request {task.key}")
        list(store.episodes(store.finished_keys()))


def go_on(directory: Path) -> None:
    """Does again what is missing, as the same run command does."""
    with RunStore(directory) as store:
        for one in EPISODES:
            if one.key not in store.finished_keys():
                store.add_episode(one, "explore")
        assert store.finished_keys() == {one.key for one in EPISODES}
    with closing(sqlite3.connect(directory / "run.db")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def cut(data: bytearray, dice: random.Random) -> bytearray:
    return data[: dice.randrange(len(data))]


def zero_page(data: bytearray, dice: random.Random) -> bytearray:
    at = 4096 * dice.randrange(len(data) // 4096)
    data[at : at + 4096] = bytes(4096)
    return data


def zero_sectors(data: bytearray, dice: random.Random) -> bytearray:
    for _ in range(dice.randrange(1, 6)):
        at = 512 * dice.randrange(len(data) // 512)
        data[at : at + 512] = bytes(512)
    return data


def scribble(data: bytearray, dice: random.Random) -> bytearray:
    for _ in range(dice.randrange(1, 4)):
        at, length = dice.randrange(len(data)), dice.choice([1, 16, 700, 9000])
        data[at : at + length] = dice.randbytes(min(length, len(data) - at))
    return data


def garble_header(data: bytearray, dice: random.Random) -> bytearray:
    length = dice.choice([16, 100, 4096])
    data[:length] = b"?" * length
    return data


DAMAGES = [cut, zero_page, zero_sectors, scribble, garble_header]


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("seed", range(6))
def test_whatever_happens_to_the_file_what_can_be_read_is_saved_and_the_run_goes_on(
    run, sound_run, damage, seed
):
    path = run / "run.db"
    damaged = damage(bytearray(path.read_bytes()), random.Random(seed))
    path.write_bytes(damaged)
    for read_only in (True, False):
        with contextlib.suppress(RunError):
            use(run, read_only=read_only)
    assert path.read_bytes() == damaged
    repair = repair_database(run)
    kept, original = rows(path), rows(sound_run / "run.db")
    assert {table: len(found) for table, found in kept.items()} == repair.kept
    if damage is not scribble:  # a letter that became another one is not found out
        assert all(kept[table] <= original[table] for table in original)
    if repair.damaged_file is None:
        assert path.read_bytes() == damaged
    else:
        assert repair.damaged_file.read_bytes() == damaged
    go_on(run)
    assert not (run / "repair.partial").exists()


def kept_share(run: Path) -> float:
    return repair_database(run).kept["episodes"] / len(EPISODES)


def test_with_a_garbled_first_page_nothing_is_lost(run):
    path = run / "run.db"
    path.write_bytes(b"?" * 4096 + path.read_bytes()[4096:])
    with pytest.raises(RunError, match=f"damaged, .*'metaplan repair {run}'"):
        use(run, read_only=False)
    assert kept_share(run) == 1.0


def test_of_half_a_file_what_was_written_first_is_saved(run):
    os.truncate(run / "run.db", (run / "run.db").stat().st_size // 2)
    with pytest.raises(RunError, match="damaged"):
        use(run, read_only=True)
    assert 0.3 < kept_share(run) < 0.6


def test_one_page_costs_the_rows_on_it(run):
    path = run / "run.db"
    (root,) = sqlite3.connect(path).execute(
        "SELECT rootpage FROM sqlite_master WHERE name = 'episodes'"
    ).fetchone()  # fmt: skip
    pages = path.stat().st_size // 4096
    for page in range(pages - 20, pages):
        assert page != root
        damaged = bytearray(path.read_bytes())
        damaged[(page - 1) * 4096 : page * 4096] = bytes(4096)
        path.write_bytes(damaged)
        break
    assert kept_share(run) > 0.9


def test_a_sound_database_is_left_alone(run):
    before = (run / "run.db").read_bytes()
    repair = repair_database(run)
    assert repair.damaged_file is None
    assert repair.lost == {}
    assert repair.kept["episodes"] == len(EPISODES)
    assert (run / "run.db").read_bytes() == before
    assert sorted(entry.name for entry in run.iterdir()) == ["run.db", "run.lock"]


def test_repairs_do_not_overwrite_what_earlier_ones_kept(run):
    for number in (1, 2):
        os.truncate(run / "run.db", (run / "run.db").stat().st_size // 2)
        assert repair_database(run).damaged_file == run / f"run.db.damaged-{number}"


def test_a_repair_that_was_killed_leaves_nothing_for_the_next_one(run):
    os.truncate(run / "run.db", (run / "run.db").stat().st_size // 2)
    (run / "repair.partial" / "new").mkdir(parents=True)
    (run / "repair.partial" / "new" / "run.db").write_text("half a file")
    repair_database(run)
    assert sorted(entry.name for entry in run.iterdir()) == [
        "run.db", "run.db.damaged-1", "run.lock",
    ]  # fmt: skip
    go_on(run)


def test_the_command_says_what_is_saved_and_what_is_lost(run, metaplan_command):
    path = run / "run.db"
    damaged = bytearray(path.read_bytes())
    damaged[-30 * 4096 : -29 * 4096] = bytes(4096)
    path.write_bytes(damaged)
    done = metaplan_command("repair", run)
    assert done.returncode == 0, done.stderr
    assert re.search(r"tasks +8 +\n", done.stdout)
    assert re.search(r"episodes +1\d\d +\d", done.stdout)
    assert f"{run}/run.db.damaged-1. Give the run's command again" in done.stdout
    again = metaplan_command("repair", run)
    assert again.stdout == "run.db is sound: there is nothing to repair\n"


def test_a_database_in_use_is_not_repaired(run):
    with RunStore(run), pytest.raises(RunError, match=f"another process \\(pid {os.getpid()} on "):
        repair_database(run)


def test_where_there_is_no_database_there_is_nothing_to_repair(tmp_path):
    with pytest.raises(RunError, match="holds no run"):
        repair_database(tmp_path)
    assert not list(tmp_path.iterdir())


def test_rows_that_metaplan_did_not_write_are_not_saved(run):
    connection = sqlite3.connect(run / "run.db")
    for change in (
        "UPDATE episodes SET reward = 0.5 WHERE rowid = 1",  # not that of the last turn
        "UPDATE episodes SET repetition = 9 WHERE rowid = 2",  # another key
        "UPDATE episodes SET turns = '[' || turns WHERE rowid = 3",
        "UPDATE episodes SET stop_reason = 'tired' WHERE rowid = 4",
        "UPDATE plans SET record = replace(record, 'object 1', 'object 7')",
        "UPDATE tasks SET record = '{}' WHERE key = 't/3'",
    ):
        connection.execute(change)
    connection.commit()
    connection.close()
    lost = repair_database(run).lost
    assert lost == {"episodes": 4, "plans": 1, "plan_samples": len(TASKS), "tasks": 1}
    with RunStore(run) as store:
        assert len(store.plan_samples("planner")["t/0"]) == 3


def test_damage_inside_a_record_is_said_when_it_is_read(run):
    connection = sqlite3.connect(run / "run.db")
    connection.execute("UPDATE tasks SET record = substr(record, 20)")
    connection.execute("UPDATE episodes SET turns = '[{}]'")
    connection.commit()
    connection.close()
    with RunStore(run) as store:
        with pytest.raises(RunError, match=r"damaged, .*metaplan repair"):
            store.tasks()
        with pytest.raises(RunError, match=r"damaged, .*metaplan repair"):
            list(store.episodes(store.finished_keys()))


# -- logs


def killed_while_writing(run: Path) -> Path:
    """A run's directory as a killed process leaves it: the newest episodes are in the log."""
    code = (
        "import os, sys; from pathlib import Path; from metaplan.episodes import RunStore\n"
        "store = RunStore(Path(sys.argv[1]))\n"
        "for number in range(300): store.set_fact(f'late {number}', 'x' * 900)\n"
        "os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", code, str(run)], check=False)
    assert (run / "run.db-wal").stat().st_size > 100_000
    return run


def test_what_is_in_the_log_of_a_killed_process_is_saved_too(run):
    path = killed_while_writing(run) / "run.db"
    path.write_bytes(path.read_bytes()[:8192])
    repair = repair_database(run)
    assert repair.kept["meta"] > 290
    assert repair.damaged_file == run / "run.db.damaged-1"
    assert (run / "run.db.damaged-1-wal").exists()
    go_on(run)


@pytest.mark.parametrize("damage", [cut, zero_sectors, scribble])
@pytest.mark.parametrize("seed", range(2))
def test_whatever_happens_to_the_log_the_run_goes_on(run, sound_run, damage, seed):
    log = killed_while_writing(run) / "run.db-wal"
    log.write_bytes(damage(bytearray(log.read_bytes()), random.Random(seed)))
    with contextlib.suppress(RunError):
        use(run, read_only=False)
    repair_database(run)
    original = rows(sound_run / "run.db")
    for table, kept in rows(run / "run.db").items():
        assert {row for row in kept if not str(row[0]).startswith("late ")} <= original[table]
    go_on(run)


def test_a_log_that_is_gone_costs_what_was_in_it(run):
    (killed_while_writing(run) / "run.db-wal").unlink()
    (run / "run.db-shm").unlink()
    with RunStore(run) as store:
        assert store.fact("late 299") is None
    go_on(run)


def test_the_log_of_another_file_is_noticed_before_anything_is_written(run, sound_run, tmp_path):
    killed_while_writing(run)
    other = tmp_path / "other"
    with RunStore(other) as store:
        store.add_tasks(TASKS)  # a run that has just begun
    shutil.copy(other / "run.db", run / "run.db")
    before = (run / "run.db").read_bytes()
    with pytest.raises(RunError, match="damaged"):
        RunStore(run)
    assert (run / "run.db").read_bytes() == before
    assert (run / "run.db-wal").exists()
    repair_database(run)
    go_on(run)


def test_a_log_without_its_file_is_not_thrown_away(run):
    killed_while_writing(run)
    os.truncate(run / "run.db", 0)
    for read_only in (True, False):
        with pytest.raises(RunError, match=r"it is empty, but has a log, run\.db-wal"):
            RunStore(run, read_only=read_only)
    repair = repair_database(run)
    assert repair.kept["meta"] > 290
    go_on(run)


# -- what is no run's database


def test_a_directory_in_the_place_of_the_file_is_named(tmp_path):
    (tmp_path / "run.db").mkdir()
    for read_only in (True, False):
        with pytest.raises(RunError, match=r"can't open .*run\.db: .*Is a directory"):
            RunStore(tmp_path, read_only=read_only)
    with pytest.raises(RunError, match="holds no run"):
        repair_database(tmp_path)


def test_another_programs_database_is_refused_and_left_alone(tmp_path):
    with closing(sqlite3.connect(tmp_path / "run.db")) as connection:
        connection.execute("CREATE TABLE songs (name TEXT)")
    before = (tmp_path / "run.db").read_bytes()
    for read_only in (True, False):
        with pytest.raises(RunError, match=r"no run's database .its tables are not those of a run"):
            RunStore(tmp_path, read_only=read_only)
    assert (tmp_path / "run.db").read_bytes() == before


def test_another_program_that_writes_to_the_file_is_told(run, monkeypatch):
    with RunStore(run) as store, closing(sqlite3.connect(run / "run.db")) as other:
        other.execute("BEGIN IMMEDIATE")
        store._database._connection.execute("PRAGMA busy_timeout = 20")
        with pytest.raises(RunError, match=r"database is locked.*end the program that uses it"):
            store.set_fact("a", 1)
        other.rollback()
        store.set_fact("a", 1)
