import pytest

from metaplan.core import ConfigError
from metaplan.recipes import RunConfig, built_in_recipes, changed_fields, dump_config, load_recipe

MINIMAL = """
name: mine
benchmark: household
tasks:
  train: {task_set: train, count: 10}
  evaluate:
    seen: {task_set: seen, count: 5}
"""


@pytest.fixture
def recipe(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(MINIMAL, "utf-8")
    return path


@pytest.mark.parametrize("name", built_in_recipes())
def test_every_built_in_recipe_loads_and_reads_back_from_its_dump(name, tmp_path):
    config = load_recipe(name)
    assert config.name == name
    assert config.description
    path = tmp_path / "config.yaml"
    path.write_text(dump_config(config), "utf-8")
    assert load_recipe(path) == config
    assert changed_fields(load_recipe(path), config) == []


def test_what_a_recipe_does_not_say_is_the_papers(recipe):
    config = load_recipe(recipe)
    explore = config.explore
    assert (explore.plans_per_task, explore.episodes_per_plan, explore.temperature) == (5, 5, 0.7)
    assert explore.temperature_of_agent == 0.7
    assert (config.sft.batch_size, config.sft.learning_rate, config.sft.epochs) == (32, 1e-5, 3)
    assert (config.dpo.beta, config.dpo.warmup_ratio, config.dpo.learning_rate) == (0.1, 0.03, 1e-5)
    assert config.evaluate.temperature == 0.0


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("explore.plan_per_task=3", "explore.plan_per_task: .*mean 'explore.plans_per_task'"),
        ("plans_per_task=3", "mean 'explore.plans_per_task'"),
        ("exploration.tasks=3", "exploration: there is no such field"),
        ("tasks.evaluate.seen.cuont=3", "mean 'tasks.evaluate.seen.count'"),
        ("sft.lora.rank=3", "sft.lora.rank: there is no such field"),
        ("agent.follower.eror_rate=0", "mean 'agent.follower.error_rate'"),
        ("explore.plans_per_task=0", "explore.plans_per_task: .*got 0"),
        ("explore.plans_per_task=many", "explore.plans_per_task: .*integer.*got 'many'"),
        ("agent.placement=prompt", "agent.placement: .*'instruction', 'thought' or 'observation'"),
        ("agent.model=local", "agent: .*'path' is needed for model 'local'"),
        ("agent.model=served", "agent: .*'served' is needed for model 'served'"),
        ("agent.path=household-agent", "agent: .*'path' is of model 'local' alone: null for model"),
        ("agent.served={model: m}", "agent: .*'served' is needed for model 'served'"),
        (
            "collect.summariser={served: {model: m}, again_at: [0.3, 3.0]}",
            r"collect.summariser.again_at.1: .*less than or equal to 2.*got 3.0",
        ),
        ("agent.served={model: m, urls: [localhost]}", "agent.served.urls: .*is no base URL"),
        ("evaluate.methods=[none, prompted]", "method 'prompted' needs the field 'prompted'"),
        ("evaluate.methods=[none, best]", "evaluate.methods.1: .*'mpo'"),
        ("evaluate.methods=[]", "evaluate.methods: .*at least 1"),
        ("evaluate.methods=[mpo, mpo]", "evaluate.methods: .*twice"),
        ("name.first=x", "--set name.first: 'name' is a value"),
        ("=3", "--set needs key=value"),
        ("seed", "--set needs key=value"),
        ("seed=[1", "the value '.1' is not YAML"),
        ("explore..tasks=3", "--set needs key=value"),
    ],
)
def test_a_wrong_setting_is_named_with_what_would_be_right(recipe, setting, message):
    with pytest.raises(ConfigError, match=message):
        load_recipe(recipe, [setting])


def test_settings_are_yaml_and_reach_into_groups_that_the_recipe_does_not_mention(recipe):
    config = load_recipe(
        recipe,
        [
            "seed=7",
            "tasks.train.count=null",
            "tasks.evaluate.unseen={task_set: unseen}",
            "evaluate.methods=[none, mpo]",
            "dpo.learning_rate=5e-6",
            "runtime.retry.attempts=1",
            "description=a = b",
        ],
    )
    assert config.seed == 7
    assert config.tasks.train.count is None
    assert set(config.tasks.evaluate) == {"seen", "unseen"}
    assert config.evaluate.methods == ("none", "mpo")
    assert config.dpo.learning_rate == 5e-6
    assert config.runtime.retry.attempts == 1
    assert config.description == "a = b"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: [", "is not YAML"),
        ("- a", "must be a mapping"),
        ("", "must be a mapping"),
        ("name: x", "benchmark: .*tasks: "),
        (f"{MINIMAL}nmae: x", "nmae: there is no such field; did you mean 'name'"),
        (f"{MINIMAL}1: x", "1: Keys should be strings"),
        (f"{MINIMAL}sft:", "sft: .*null|sft: .*None"),
    ],
)
def test_a_wrong_recipe_is_named_with_its_fields(tmp_path, text, message):
    path = tmp_path / "wrong.yaml"
    path.write_text(text, "utf-8")
    with pytest.raises(ConfigError, match=rf"(?s)wrong\.yaml.*(?:{message})"):
        load_recipe(path)


def test_an_unknown_recipe_names_those_that_there_are(tmp_path):
    with pytest.raises(ConfigError, match=r"no recipe 'demo'.*household-demo"):
        load_recipe("demo")
    with pytest.raises(ConfigError, match=r"can't read .*absent\.yaml"):
        load_recipe(tmp_path / "absent.yaml")


def changes(recipe, *settings, before=()):
    return changed_fields(load_recipe(recipe, before), load_recipe(recipe, settings))


@pytest.mark.parametrize(
    "setting",
    [
        "seed=1",
        "agent.placement=thought",
        "agent.follower.error_rate=0.5",
        "dpo.beta=0.2",
        "sft.epochs=1",
        "planner.scratch.layers=3",
        "explore.temperature=1.0",
        "tasks.train.task_set=seen",
    ],
)
def test_what_shapes_a_number_can_not_change(recipe, setting):
    (line,) = changes(recipe, setting)
    assert line.startswith(f"{setting.split('=')[0]}: ")


@pytest.mark.parametrize(
    "setting",
    [
        "runtime.workers=3",
        "runtime.retry.attempts=9",
        "description=other",
        "planner.max_batch=1",
        "sft.per_device_batch_size=2",
        "dpo.report_to=[tensorboard]",
    ],
)
def test_how_a_run_is_carried_out_may_change(recipe, setting):
    assert changes(recipe, setting) == []


@pytest.mark.parametrize(
    "field",
    ["tasks.train.count", "tasks.evaluate.seen.count", "explore.tasks", "explore.plans_per_task"],
)
def test_counts_may_grow_and_never_shrink(recipe, field):
    assert changes(recipe, f"{field}=9", before=[f"{field}=8"]) == []
    (line,) = changes(recipe, f"{field}=8", before=[f"{field}=9"])
    assert line == f"{field}: 9 → 8"


def test_all_is_more_than_any_count(recipe):
    assert changes(recipe, "tasks.train.count=null") == []
    assert changes(recipe, before=["tasks.train.count=null"]) == ["tasks.train.count: None → 10"]


def test_a_split_may_be_added_and_not_taken_away(recipe):
    more = "tasks.evaluate.unseen={task_set: unseen, count: 5}"
    assert changes(recipe, more) == []
    assert changes(recipe, before=[more]) != []


def test_a_configuration_needs_a_split_to_evaluate():
    with pytest.raises(ValueError, match="evaluate"):
        RunConfig.model_validate(
            {"name": "x", "benchmark": "b", "tasks": {"train": {"task_set": "t"}, "evaluate": {}}}
        )


SERVED = "agent={model: served, served: {model: small, urls: ['http://127.0.0.1:1/v1']}}"


def test_where_a_model_is_served_may_change_but_not_which(recipe):
    before = load_recipe(recipe, [SERVED])
    moved = load_recipe(
        recipe,
        [SERVED, "agent.served.urls=['http://127.0.0.1:2/v1', 'http://127.0.0.1:3/v1']",
         "agent.served.timeout_s=5", "agent.served.api_key_env=OTHER"],
    )  # fmt: skip
    assert changed_fields(before, moved) == []
    (other,) = changed_fields(before, load_recipe(recipe, [SERVED, "agent.served.model=large"]))
    assert other == "agent.served.model: 'small' → 'large'"


def test_a_planner_is_trained_only_where_a_method_needs_one(recipe):
    prompted = ["prompted={served: {model: m}}", "evaluate.methods=[none, prompted]"]
    assert not load_recipe(recipe, prompted).trains_planner
    assert load_recipe(recipe).trains_planner


TUNING = ("agent.model=tuned", "tuning={}", "evaluate.methods=[none]")


def test_a_recipe_tunes_an_agent_or_trains_a_planner(recipe):
    tuned = load_recipe(recipe, TUNING)
    assert tuned.learner == ("tuning", "scratch")
    assert not tuned.trains_planner
    assert load_recipe(recipe).learner == ("planner", "scratch")
    assert load_recipe(recipe, ["evaluate.methods=[none]"]).learner is None
    for settings, message in [
        (TUNING[1:], "'tuned' where there is 'tuning'"),
        ((TUNING[0], TUNING[2]), "'tuned' where there is 'tuning'"),
        (TUNING[:2], r"set evaluate.methods to \[none\]"),
        ((*TUNING, "agent.placement=thought"), "can't be tuned with placement 'thought'"),
        ((*TUNING, "tuning.plans={none: 0, own: 0, other: 0}"), "at least one of"),
        ((*TUNING, "tuning.plan.own=2"), "did you mean 'tuning.plans"),
    ]:
        with pytest.raises(ConfigError, match=message):
            load_recipe(recipe, settings)


def test_more_people_may_demonstrate_and_other_plans_may_not_be_shown(recipe):
    assert changes(recipe, *TUNING, "tuning.people=3", before=TUNING) == []
    assert (
        changes(recipe, *TUNING, "tuning.eto_tasks=3", before=(*TUNING, "tuning.eto_tasks=2")) == []
    )
    (change,) = changes(recipe, *TUNING, "tuning.plans.own=2", before=TUNING)
    assert change.startswith("tuning.plans.own")
