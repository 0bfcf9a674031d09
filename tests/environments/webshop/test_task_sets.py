import json
import subprocess
import sys

import pytest

from metaplan.core import DataError, Task
from metaplan.environments import check_environment
from metaplan.environments.data import damage
from metaplan.environments.webshop import BENCHMARK, load
from metaplan.environments.webshop.builtin import builtin_shop
from metaplan.environments.webshop.files import HUMAN, INDICES, SHOPS, SOURCES
from metaplan.environments.webshop.goals import official_order
from metaplan.environments.webshop.shop import open_shop
from metaplan.environments.webshop.task_sets import TASKS_IN_SET, goal_of, list_tasks
from metaplan.planners import lint_plan

BUILTIN = ("train@builtin", "validation@builtin", "test@builtin")


@pytest.fixture
def data(tmp_path, monkeypatch):
    """An empty data directory; shops opened with it are forgotten."""
    directory = tmp_path / "data"
    directory.mkdir()
    monkeypatch.setenv("METAPLAN_DATA", str(directory))
    open_shop.cache_clear()
    yield directory
    open_shop.cache_clear()


def put(source, content):
    source.path.parent.mkdir(parents=True, exist_ok=True)
    source.path.write_text(json.dumps(content), "utf-8")


@pytest.fixture
def whole_shop(data, monkeypatch):
    """Generated files in the official format, of the official names."""
    shop = builtin_shop()
    count = sum(map(len, shop.human.values()))
    monkeypatch.setattr("metaplan.environments.webshop.task_sets.HUMAN_GOALS", count)
    odd = [{"asin": "nan"}, {"asin": "B" * 11}, shop.products[0]]
    put(SHOPS["full"].products, [*shop.products, *odd])
    put(SHOPS["full"].attributes, shop.attributes)
    put(HUMAN, shop.human)
    return count


def test_the_benchmark_keeps_the_contract():
    assert check_environment(BENCHMARK) == ()


def test_the_built_in_sets_are_disjoint_and_of_the_stated_size():
    sets = [{task.key for task in list_tasks(name)} for name in BUILTIN]
    assert [len(keys) for keys in sets] == [TASKS_IN_SET[name] for name in BUILTIN]
    assert not sets[0] & sets[1] and not sets[0] & sets[2] and not sets[1] & sets[2]  # noqa: PT018
    products = [{key.split("-")[1] for key in keys} for keys in sets]
    assert not products[0] & products[2]


def test_the_built_in_shop_is_the_same_in_every_process():
    code = (
        "from metaplan.core import digest;"
        "from metaplan.environments.webshop.builtin import builtin_shop as s; b = s();"
        "print(digest(list(b.products), dict(b.attributes), dict(b.human)))"
    )
    seen = {
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True,
                       env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)}).stdout
        for seed in ("1", "2")
    }  # fmt: skip
    assert len(seen) == 1
    assert seen != {""}


def test_what_the_expert_reaches_in_the_built_in_shop():
    tasks = list_tasks("validation@builtin")[::12]
    found = [BENCHMARK.expert(task) for task in tasks]
    assert all(trajectory.success and len(trajectory.steps) <= 10 for trajectory in found)
    plans = {BENCHMARK.summarise(trajectory).text for trajectory in found}
    assert len(plans) > 8
    assert not [
        problem for plan in plans for problem in lint_plan(plan, BENCHMARK.action_templates)
    ]


def test_an_episode_ends_with_the_purchase_and_says_its_parts():
    trajectory = BENCHMARK.expert(list_tasks("test@builtin")[5])
    environment = load(trajectory.task).make()
    assert environment.reset().text == trajectory.task.instruction
    results = [environment.step(step.action) for step in trajectory.steps]
    assert [result.observation for result in results] == [
        step.observation for step in trajectory.steps
    ]
    *before, last = results
    assert not any(result.terminated or result.reward or result.info for result in before)
    assert (last.terminated, last.success, last.reward) == (True, True, 1.0)
    assert last.info["type"]["factor"] == 1.0
    assert last.info["attributes"] == last.info["attributes_wanted"]
    after = environment.step("search[more]")
    assert (after.valid, after.reward, after.success, after.info) == (False, 1.0, True, {})


def test_the_official_order_and_split(whole_shop):
    order = official_order(whole_shop)
    goals = list(open_shop("full").goals.values())
    test = list_tasks("test@official")
    assert len(test) == 500
    assert {task.source["place"] for task in test} == {str(place) for place in range(500)}
    assert all(task.source["goal"] == goals[order[int(task.source["place"])]].id for task in test)
    parts = [{task.key for task in list_tasks(f"{part}@official")} for part in ("dev", "test")]
    assert len(parts[0]) == 1000
    assert not parts[0] & parts[1]
    assert len(open_shop("full").catalogue) == 480  # the odd ones are left out


def test_the_papers_sets_are_places_in_the_official_order(whole_shop):
    put(INDICES["test"], [5, 3, 5])
    tasks = list_tasks("test@paper")
    assert sorted(task.source["place"] for task in tasks) == ["3", "5"]
    assert {task.key for task in tasks} < {task.key for task in list_tasks("test@official")}
    put(INDICES["test"], [whole_shop])
    with pytest.raises(DataError, match="no place"):
        list_tasks("test@paper")
    put(INDICES["test"], {"a": 1})
    with pytest.raises(DataError, match=r"test_indices\.json is malformed"):
        list_tasks("test@paper")


def test_a_shop_of_another_edition_has_no_official_order(whole_shop, monkeypatch):
    monkeypatch.setattr("metaplan.environments.webshop.task_sets.HUMAN_GOALS", whole_shop + 1)
    with pytest.raises(DataError, match="official order can't be told"):
        list_tasks("test@official")


@pytest.mark.parametrize("task_set", ["human@1000", "test@official"])
def test_missing_files_are_named_with_what_gets_them(data, task_set):
    with pytest.raises(DataError, match=r"items_shuffle.*metaplan data fetch"):
        list_tasks(task_set)


def test_missing_lists_are_named(data):
    with pytest.raises(DataError, match=r"test_indices\.json is missing"):
        list_tasks("test@paper")


def test_damaged_files_are_named(data):
    put(SHOPS["1000"].products, [])
    put(SHOPS["1000"].attributes, {})
    HUMAN.path.write_text("{")
    with pytest.raises(DataError, match=r"items_human_ins\.json can't be read"):
        list_tasks("human@1000")
    put(HUMAN, {})
    with pytest.raises(DataError, match="no products"):
        list_tasks("human@1000")
    SHOPS["1000"].products.path.write_text('[{"asin": "B1"}]')
    with pytest.raises(DataError, match=r"B1.*malformed"):
        list_tasks("human@1000")


def test_changed_files_are_read_again(whole_shop):
    before = BENCHMARK.fingerprint("test@official")
    shop = builtin_shop()
    human = {asin: goals[::-1] for asin, goals in shop.human.items()}
    put(HUMAN, human)
    open_shop.cache_clear()
    after = BENCHMARK.fingerprint("test@official")
    assert before["items_human_ins"] != after["items_human_ins"]
    assert before["products"] == after["products"]


def test_fingerprints_name_the_tagger_and_the_data():
    facts = BENCHMARK.fingerprint("test@builtin")
    assert facts["generator"] == "1"
    assert facts["nouns"].startswith(("rules-", "spacy-"))


@pytest.mark.parametrize("task_set", ["train", "test@nowhere", ""])
def test_an_unknown_task_set_is_answered_with_the_known_ones(task_set):
    with pytest.raises(DataError, match="train@builtin"):
        list_tasks(task_set)


def test_a_task_of_elsewhere_is_refused():
    task = Task(key="webshop/x", benchmark="webshop", task_set="test@builtin", task_type="x")
    with pytest.raises(DataError, match="no such goal"):
        goal_of(task)
    with pytest.raises(DataError, match="not a WebShop task"):
        goal_of(task.model_copy(update={"task_set": "valid_seen"}))


def test_without_data_the_audit_reports_every_set_as_absent(data):
    reports = list(BENCHMARK.data.audit())
    assert {report.task_set for report in reports} == set(TASKS_IN_SET) - set(BUILTIN)
    assert not any(report.count or report.problems for report in reports)


def test_the_audit_counts_and_tells_what_is_wrong(whole_shop):
    reports = {report.task_set: report for report in BENCHMARK.data.audit()}
    assert reports["test@official"].count == 500
    assert not reports["test@official"].problems
    assert reports["train@official"].problems == (
        f"train@official has {whole_shop - 1500} goals, not 10587",
    )
    HUMAN.path.write_text("{")
    open_shop.cache_clear()
    damaged = {report.task_set: report for report in BENCHMARK.data.audit()}
    assert "items_human_ins.json" in damaged["test@official"].problems[0]


def test_importing_the_benchmark_imports_nothing_heavy():
    code = (
        "import sys; from metaplan.environments import get_benchmark; get_benchmark('webshop');"
        "print({'numpy', 'spacy', 'torch'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.data
@pytest.mark.usefixtures("sample")
def test_the_thousand_products():
    tasks = list_tasks("human@1000")
    assert len(tasks) == 13
    assert len(list_tasks("synthetic@1000")) == 6910
    assert len(open_shop("1000").catalogue) == 1000
    assert check_environment(BENCHMARK, task=tasks[0]) == ()
    assert all(BENCHMARK.expert(task).success for task in tasks)


@pytest.mark.data
@pytest.mark.usefixtures("sample")
def test_the_lists_of_the_paper_are_whole():
    for source, count in ((INDICES["train"], 1823), (INDICES["test"], 200)):
        assert damage(source) is None
        assert len(set(json.loads(source.path.read_text()))) == count
    assert {source.path.name for source in SOURCES} >= {"items_shuffle.json", "items_ins_v2.json"}
