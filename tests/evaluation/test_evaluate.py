from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from metaplan.core import Episode, Placement, StopReason, Turn
from metaplan.evaluation import COMPARED, METRICS, Arm, Results, evaluate, method_pairs


def episode(task, reward=0.0, *, steps=4, repetition=0, stop=None, problems=(), tag=""):
    turns = tuple(
        Turn(reply="r", action="a", observation="o", reward=0.0, problem=problem)
        for problem in (*problems, *[None] * (steps - len(problems)))
    )
    if stop is None:
        stop = StopReason.SOLVED if reward == 1.0 else StopReason.STEP_LIMIT
    return Episode(
        key=f"{tag}{task}-{repetition}-{stop}",
        task_key=task,
        environment="env",
        plan_key=None,
        placement=None,
        agent="agent",
        repetition=repetition,
        turns=turns,
        reward=reward,
        success=reward == 1.0,
        stop_reason=stop,
    )


def arm(episodes, method="none", *, split="seen", seed="all", types=None, **fields):
    tasks = types or {e.task_key: "pick" for e in episodes}
    return Arm(
        **{
            "benchmark": "alfworld",
            "split": split,
            "agent": "follower",
            "planner": method,
            "method": method,
            "placement": None if method == "none" else Placement.INSTRUCTION,
            "seed": seed,
            "episodes": tuple(episodes),
            "task_types": tasks,
            "planned": len(episodes),
            **fields,
        }
    )


def row(results, metric, **fields):
    fields = {"task_type": "all", "seed": "all", **fields}
    (found,) = [
        r
        for r in results.rows
        if r.metric == metric and all(getattr(r, k) == v for k, v in fields.items())
    ]
    return found


def difference(results, metric, a, b, **fields):
    (found,) = [
        d
        for d in results.differences
        if (d.metric, d.a, d.b) == (metric, a, b)
        and all(getattr(d, k) == v for k, v in fields.items())
    ]
    return found


played = st.lists(
    st.builds(
        lambda task, reward, steps: (f"t{task}", reward, steps),
        st.integers(0, 5),
        st.sampled_from([0.0, 0.25, 1.0]),
        st.integers(0, 6),
    ),
    min_size=1,
    max_size=15,
)


def episodes_of(drawn, tag=""):
    return [
        episode(task, reward, steps=steps, repetition=number, tag=tag)
        for number, (task, reward, steps) in enumerate(drawn)
    ]


def test_a_task_counts_once_however_many_episodes_it_has():
    many = [episode("t1", 1.0, repetition=n) for n in range(9)] + [episode("t2", 0.0)]
    assert row(evaluate([arm(many)]), "reward").mean == 0.5


def test_reward_per_step_is_the_final_reward_over_steps_averaged_over_tasks():
    results = evaluate([arm([episode("t1", 1.0, steps=4), episode("t2", 0.5, steps=10)])])
    assert row(results, "reward_per_step").mean == pytest.approx((1 / 4 + 0.5 / 10) / 2)


def test_reward_per_step_of_an_episode_without_reward_or_without_steps_is_zero():
    results = evaluate([arm([episode("t1", 0.0), episode("t2", 0.0, steps=0)])])
    assert row(results, "reward_per_step").mean == 0.0


def test_error_rates_are_shares_of_all_steps():
    results = evaluate(
        [
            arm(
                [
                    episode("t1", steps=2, problems=("invalid", "format")),
                    episode("t2", steps=8, problems=("invalid",)),
                ]
            )
        ]
    )
    assert row(results, "invalid_action_rate").mean == pytest.approx(0.2)
    assert row(results, "format_error_rate").mean == pytest.approx(0.1)


@given(played, st.randoms(use_true_random=False))
@settings(max_examples=25, deadline=None)
def test_the_order_of_episodes_changes_nothing(drawn, random):
    ordered = episodes_of(drawn)
    mixed = list(ordered)
    random.shuffle(mixed)
    assert evaluate([arm(ordered)]).rows == evaluate([arm(mixed)]).rows


@given(played)
@settings(max_examples=25, deadline=None)
def test_void_episodes_change_no_number(drawn):
    counted = episodes_of(drawn)
    void = [
        episode(e.task_key, 0.0, stop=StopReason.MODEL_ERROR, repetition=99 + n)
        for n, e in enumerate(counted)
    ]
    assert evaluate([arm(counted + void)]).rows == evaluate([arm(counted)]).rows


@given(played)
@settings(max_examples=25, deadline=None)
def test_every_interval_holds_its_mean_and_shares_stay_between_zero_and_one(drawn):
    for found in evaluate([arm(episodes_of(drawn))]).rows:
        assert found.ci_low <= found.mean <= found.ci_high
        if found.metric != "steps":
            assert found.ci_low >= 0.0
            assert found.ci_high <= 1.0


@given(played)
@settings(max_examples=25, deadline=None)
def test_an_arm_does_not_differ_from_itself(drawn):
    results = evaluate([arm(episodes_of(drawn)), arm(episodes_of(drawn), "mpo")])
    assert len(results.differences) == len(COMPARED)
    for found in results.differences:
        assert (found.difference, found.ci_low, found.ci_high) == (0.0, 0.0, 0.0)


def test_differences_are_paired_over_the_tasks_that_both_methods_have():
    none = arm([episode("t1", 0.0), episode("t2", 1.0), episode("t3", 1.0)])
    mpo = arm([episode("t1", 1.0), episode("t2", 1.0), episode("t9", 0.0)], "mpo")
    found = difference(evaluate([none, mpo]), "success", "mpo", "none")
    assert found.n == 2
    assert found.difference == 0.5


def test_pairing_removes_the_spread_between_tasks():
    rewards = [0.0, 0.2, 0.4, 0.6, 0.8]
    none = arm([episode(f"t{n}", r) for n, r in enumerate(rewards)])
    mpo = arm([episode(f"t{n}", r + 0.1) for n, r in enumerate(rewards)], "mpo")
    found = difference(evaluate([none, mpo]), "reward", "mpo", "none")
    assert found.ci_low == pytest.approx(0.1)
    assert found.ci_high == pytest.approx(0.1)


def test_each_pair_of_methods_is_compared_once_the_later_minus_the_earlier():
    assert method_pairs(["rft", "none", "mpo", "sft"]) == [
        ("mpo", "none"),
        ("mpo", "sft"),
        ("mpo", "rft"),
        ("rft", "none"),
        ("rft", "sft"),
        ("sft", "none"),
    ]
    assert method_pairs(["mine", "mpo"]) == [("mine", "mpo")]


def test_no_plan_is_compared_at_every_placement_and_placements_are_kept_apart():
    arms = [
        arm([episode("t1", 0.0)]),
        arm([episode("t1", 1.0)], "mpo"),
        arm([episode("t1", 0.5)], "mpo", placement=Placement.THOUGHT),
    ]
    results = evaluate(arms)
    at = {d.placement: d.difference for d in results.differences if d.metric == "reward"}
    assert at == {Placement.INSTRUCTION: 1.0, Placement.THOUGHT: 0.5}


def test_seeds_are_averaged_per_task_and_shown_one_by_one():
    arms = [
        arm([episode("t1", 1.0), episode("t2", 1.0)], "mpo", seed=0),
        arm([episode("t1", 0.0), episode("t2", 1.0)], "mpo", seed=1),
    ]
    results = evaluate(arms)
    assert row(results, "reward").mean == 0.75
    assert row(results, "reward", seed=1).mean == 0.5
    assert row(results, "reward").n == 2


def test_task_types_get_rows_of_their_own():
    types = {"t1": "pick", "t2": "heat", "t3": "heat"}
    episodes = [episode("t1", 0.0), episode("t2", 1.0), episode("t3", 0.5)]
    results = evaluate([arm(episodes, types=types)])
    assert row(results, "reward", task_type="heat").mean == 0.75
    assert row(results, "reward", task_type="pick").n == 1
    assert len(results.rows) == 3 * len(METRICS)


def test_coverage_shows_missing_episodes_and_the_causes_of_void_ones():
    episodes = [
        episode("t1", 1.0),
        episode("t2", stop=StopReason.MODEL_ERROR),
        episode("t3", stop=StopReason.ENVIRONMENT_ERROR),
    ]
    types = dict.fromkeys(["t1", "t2", "t3", "t4"], "pick")
    (coverage,) = evaluate([arm(episodes, types=types, planned=4)]).coverage
    assert (coverage.tasks_measured, coverage.tasks_planned) == (1, 4)
    assert (coverage.episodes_measured, coverage.episodes_planned) == (1, 4)
    assert coverage.void == {"environment_error": 1, "model_error": 1}
    assert not coverage.is_complete


def test_an_arm_with_nothing_but_void_episodes_has_coverage_and_no_rows():
    results = evaluate(
        [arm([episode("t1", stop=StopReason.CANCELLED)]), arm([episode("t1", 1.0)], "mpo")]
    )
    assert {r.method for r in results.rows} == {"mpo"}
    assert results.differences == ()
    assert [c.tasks_measured for c in results.coverage] == [0, 1]


def test_results_survive_the_way_through_json_and_carry_their_schema():
    results = evaluate([arm([episode("t1", 1.0)]), arm([episode("t1", 0.5)], "mpo", seed=3)])
    text = results.model_dump_json()
    assert '"schema":"metaplan-results/1"' in text
    assert Results.model_validate_json(text) == results


def test_the_same_arm_twice_is_refused():
    with pytest.raises(ValueError, match="twice"):
        evaluate([arm([episode("t1")]), arm([episode("t2")])])


def test_two_planners_under_one_method_name_are_refused():
    with pytest.raises(ValueError, match="two planners"):
        evaluate([arm([episode("t1")], "mpo"), arm([episode("t1")], "mpo", planner="other")])


def test_episodes_of_unplanned_tasks_are_refused():
    with pytest.raises(ValidationError, match="not planned"):
        arm([episode("t1")], types={"t2": "pick"})


def test_an_episode_that_counts_twice_is_refused():
    with pytest.raises(ValidationError, match="given twice"):
        arm([episode("t1"), episode("t1")])
