"""The stage of a run, against a language model behind HTTP."""

import collections
import json
import os
import signal
import subprocess
import sys
import time

import pytest
from openai_server import FAULTS, Reply, error

from metaplan import load_recipe
from metaplan.collection import collect
from metaplan.core import ConfigError, DataError, RunError, UserError
from metaplan.episodes import RunStore, SilentProgress
from metaplan.models import ScriptedModel
from metaplan.planners import read_jsonl, write_jsonl
from metaplan.runs import Run

RECIPE = """\
name: collection
benchmark: household
tasks:
  train: {task_set: train, count: 1}
  evaluate: {seen: {task_set: seen, count: 1}}
planner: {profile: compact}
runtime:
  workers: 1
  concurrency: 4
  retry: {attempts: 2, first_wait_s: 0.0}
"""
GOOD = "<meta_plan>\nStep 1: Go to the desk.\nStep 2: Take the mug.\n</meta_plan>"
SPECIFIC = "<meta_plan>\nStep 1: Go to desk 1.\n</meta_plan>"
COMPLEX = "<meta_plan>\nStep 1: Take the mug, otherwise go to the desk.\n</meta_plan>"


class Heard(SilentProgress):
    """Keeps what is said."""

    def __init__(self):
        self.lines = []

    def say(self, text):
        self.lines.append(text)


@pytest.fixture(autouse=True)
def _requests_are_repeated_at_once(monkeypatch):
    monkeypatch.setattr("metaplan.models.served.waits._FIRST_WAIT_S", 0.001)


@pytest.fixture
def experts(tmp_path, trajectory):
    """Writes trajectories of so many tasks."""

    def write(count, **options):
        made = [
            trajectory(f"t/{number:03}", "go to desk 1", "take mug 1 from desk 1", **options)
            for number in range(count)
        ]
        lines = (one.model_dump(mode="json") for one in made)
        return write_jsonl(tmp_path / "experts.jsonl", lines)

    return write


@pytest.fixture
def recipe(tmp_path):
    """The recipe of a run that asks a server to summarise trajectories."""

    def make(server, experts, *settings):
        path = tmp_path / "recipe.yaml"
        path.write_text(RECIPE)
        served = {"model": "test", "urls": [server.url], "attempts": 3}
        named = [f"collect.trajectories={experts}", f"collect.summariser={{served: {served}}}"]
        return load_recipe(path, [*named, *settings])

    return make


@pytest.fixture
def collected(tmp_path):
    """Collects in the test's run directory: what the stage says, and the lines of its datasets."""

    def call(config, progress=None):
        with Run(config, tmp_path / "run", progress or SilentProgress()) as run:
            sft = collect(run)
            result = run.store.stages()["collect"].result
        plans = {line["task_key"]: line["completion"][0]["content"] for _, line in read_jsonl(sft)}
        return result, plans

    return call


def answers(**by_task):
    """A model that has a list of answers for a task, the last of which it repeats."""
    left = {key: list(texts) for key, texts in by_task.items()}

    def answer(messages):
        text = messages[0]["content"]
        if text == "Reply with: OK":
            return "OK"
        key = next((key for key in left if f"room of t/{key[1:]}." in text), None)
        if key is None:
            return GOOD
        return left[key].pop(0) if len(left[key]) > 1 else left[key][0]

    return ScriptedModel(answer)


def test_every_trajectory_is_counted_in_the_stages_result(serve, experts, recipe, collected):
    model = answers(t001=[SPECIFIC, GOOD], t002=[COMPLEX], t003=[SPECIFIC])
    progress = Heard()
    result, plans = collected(recipe(serve(model), experts(5)), progress)
    tokens = {name: result.pop(name) for name in ("prompt_tokens", "completion_tokens")}
    assert result == {
        "requests": 1 + 2 + 1 + 4 + 1,
        "seed_plans": 3,
        "for_review": 2,
        "unsolved": 0,
        "untold": 0,
    }
    assert sorted(plans) == ["t/000", "t/001", "t/004"]
    assert set(plans.values()) == {GOOD}
    assert min(tokens.values()) > 0
    assert any("2 plans wait for a person" in line for line in progress.lines)
    assert any("3 seed plans" in line and "9 requests" in line for line in progress.lines)


def test_a_persons_decisions_are_taken_in_and_nothing_is_asked_again(
    serve, experts, recipe, collected, tmp_path
):
    server = serve(answers(t001=[COMPLEX], t002=[COMPLEX]))
    config = recipe(server, experts(3))
    collected(config)
    asked = len(server.requests)
    review = tmp_path / "run" / "datasets" / "review.jsonl"
    mended, refused = (line for _, line in read_jsonl(review))
    mended |= {"accept": True, "plan": "Step 1: Take the mug."}
    refused |= {"accept": False}
    write_jsonl(review, [mended, refused])
    for _ in range(2):
        result, plans = collected(config)
        assert (result["seed_plans"], result["by_person"], result["left_out"]) == (2, 1, 1)
        assert plans["t/001"] == "<meta_plan>\nStep 1: Take the mug.\n</meta_plan>"
        assert [line for _, line in read_jsonl(review)] == [mended, refused]
    assert len(server.requests) == asked


def test_seed_plans_can_be_taken_to_another_run_without_asking_again(
    serve, experts, recipe, collected, tmp_path
):
    server = serve(answers(t001=[SPECIFIC, GOOD]))
    config = recipe(server, experts(2))
    _, plans = collected(config)
    written = tmp_path / "run" / "datasets" / "seed_plans.jsonl"
    assert [(line["by"], line["temperature"]) for _, line in read_jsonl(written)] == [
        ("summary", 0.0),
        ("summary", 0.3),
    ]
    sft = (tmp_path / "run" / "datasets" / "sft.jsonl").read_bytes()
    own = config.collect.model_copy(update={"seed_plans": str(written), "summariser": None})
    with Run(config.model_copy(update={"collect": own}), tmp_path / "other") as run:
        assert collect(run).read_bytes() == sft
    assert len(server.requests) == 3
    assert len(plans) == 2


def test_a_slip_in_the_review_is_named_before_anything_is_asked(
    serve, experts, recipe, collected, tmp_path
):
    server = serve(GOOD)
    review = tmp_path / "run" / "datasets" / "review.jsonl"
    write_jsonl(review, [{"task_key": "t/000", "accept": True, "plan": "Look."}])
    with pytest.raises(DataError, match=r"review\.jsonl, line 1: .*no numbered steps"):
        collected(recipe(server, experts(1)))
    assert server.requests == []


def test_faults_of_the_server_change_nothing(serve, experts, recipe, collected, tmp_path):
    """Half of all requests fail once, in every way that takes no time."""
    passing = [reply for name, reply in FAULTS.items() if name not in {"time-out", "slow body"}]
    asked: set[str] = set()

    def fault(number, body):
        request = json.dumps(body["messages"])
        if request in asked or number % 2:
            return None
        asked.add(request)
        return passing[number // 2 % len(passing)]

    server = serve(answers(t001=[COMPLEX]), fault=fault)
    result, plans = collected(recipe(server, experts(40)))
    assert (result["seed_plans"], result["for_review"]) == (39, 1)
    assert "unanswered" not in result
    assert set(plans.values()) == {GOOD}
    assert len(server.requests) > result["requests"] == 40


@pytest.fixture
def refusing(serve):
    """A server whose provider refuses one of the tasks."""

    def fault(number, body):
        refused = "room of t/001." in body["messages"][0]["content"]
        return error(400, "flagged by our policy") if refused else None

    return serve(answers(), fault=fault)


def test_a_trajectory_that_the_provider_refuses_waits_and_the_others_go_on(
    refusing, experts, recipe, collected
):
    config = recipe(refusing, experts(4))
    result, _ = collected(config)
    assert (result["seed_plans"], result["for_review"], result["unanswered"]) == (3, 1, 1)
    refusing.fault = lambda number, body: None
    result, _ = collected(config)
    assert (result["seed_plans"], result["for_review"]) == (4, 0)


def test_once_a_planner_has_learned_no_provider_changes_the_seed_plans(
    refusing, experts, recipe, collected, tmp_path
):
    config = recipe(refusing, experts(4))
    _, before = collected(config)
    with RunStore(tmp_path / "run") as store:
        store.begin_stage("sft")
    refusing.fault = lambda number, body: None
    _, after = collected(config)
    assert after == before


def test_a_server_that_is_gone_stops_the_run_and_what_it_answered_is_not_asked_again(
    serve, experts, recipe, collected
):
    def gone_after(number, body):
        return Reply(503, b"gone") if number >= 10 else None

    server = serve(answers(), fault=gone_after)
    config = recipe(server, experts(30), "collect.summariser.served.patience_s=0")
    with pytest.raises(RunError, match=r"test gives no answers any more: .*503"):
        collected(config)
    before = len(server.requests)
    server.fault = lambda number, body: None
    result, _ = collected(config)
    assert (result["seed_plans"], result["requests"]) == (30, 30)
    assert len(server.requests) - before == 20


def test_a_wrong_key_is_said_as_it_is(serve, experts, recipe, collected):
    server = serve(fault=lambda number, body: error(401, "invalid key"))
    with pytest.raises(UserError, match="invalid key"):
        collected(recipe(server, experts(8)))


def test_without_any_seed_plan_the_run_stops_and_says_where_plans_wait(
    serve, experts, recipe, collected
):
    with pytest.raises(UserError, match=r"no seed plan to train on: .* 2 plans wait in .*review"):
        collected(recipe(serve(COMPLEX), experts(2)))


def test_the_plan_is_learned_in_the_dialect_in_which_it_was_asked_for(
    serve, experts, recipe, collected
):
    server = serve(GOOD.replace("meta_plan", "workflow"))
    _, plans = collected(recipe(server, experts(1), "planner.dialect=workflow"))
    assert plans["t/000"].startswith("<workflow>\nStep 1: Go to the desk.")
    (request,) = server.requests
    assert "step-by-step workflow" in request["messages"][0]["content"]


KILLED = """\
import sys
from metaplan import load_recipe
from metaplan.collection import collect
from metaplan.runs import Run

with Run(load_recipe(sys.argv[1]), sys.argv[2]) as run:
    collect(run)
"""


def test_kill_9_loses_only_the_requests_in_flight(serve, experts, recipe, collected, tmp_path):
    """Each answer takes a moment, so that the blow falls between answers."""
    server = serve(answers(), fault=lambda number, body: time.sleep(0.02))
    config = recipe(server, experts(60))
    path = tmp_path / "whole.yaml"
    path.write_text(json.dumps(config.model_dump(mode="json")))
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, path, tmp_path / "run"], start_new_session=True
    )
    try:
        while len(server.requests) < 20 and process.poll() is None:
            time.sleep(0.01)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    result, plans = collected(config)
    asked = collections.Counter(body["messages"][0]["content"] for body in server.requests)
    assert (result["seed_plans"], len(plans), len(asked)) == (60, 60, 60)
    again = sum(count - 1 for count in asked.values())
    assert 20 <= len(server.requests) == 60 + again
    assert again <= config.runtime.concurrency


def household(tmp_path, *settings):
    path = tmp_path / "household.yaml"
    path.write_text(RECIPE.replace("count: 1}\n  evaluate", "count: 30}\n  evaluate"))
    return load_recipe(path, settings)


@pytest.mark.parametrize(("share", "least", "most"), [(0.0, 0, 0), (0.5, 5, 22), (1.0, 18, 30)])
def test_a_share_of_the_seed_plans_is_told_with_another_goal(tmp_path, share, least, most):
    with Run(household(tmp_path, f"collect.other_goals={share}"), tmp_path / "run") as run:
        dataset = collect(run)
        examples = [line for _, line in read_jsonl(dataset)]
        seeds = {
            line["task_key"]: line for _, line in read_jsonl(run.datasets / "seed_plans.jsonl")
        }
    assert len(examples) == len(seeds) == 30
    changed = 0
    for line in examples:
        seed, read = seeds[line["task_key"]], line["prompt"][0]["content"]
        same_task = seed["instruction"] in read
        assert same_task == (seed["plan"] in line["completion"][0]["content"])
        changed += not same_task
    assert least <= changed <= most


@pytest.mark.parametrize("setting", ["collect.other_goals=0.5", "explore.merged=true"])
def test_what_the_benchmark_has_no_rule_for_is_refused_before_any_work(tmp_path, setting):
    path = tmp_path / "webshop.yaml"
    sets = {"household": "webshop", "task_set: seen": "task_set: test@builtin"}
    text = RECIPE.replace("task_set: train", "task_set: train@builtin")
    for old, new in sets.items():
        text = text.replace(old, new)
    path.write_text(text)
    config = load_recipe(path, [setting])
    with pytest.raises(ConfigError, match=rf"{setting.partition('=')[0]}: plans of webshop can't"):
        Run(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()
