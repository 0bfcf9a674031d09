import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metaplan.core import DataError, MetaPlan, Placement, PlanScore, Task
from metaplan.exploration import (
    Uniform,
    best_plans,
    exploration_specs,
    incomplete_plans,
    plan_scores,
    preference_pairs,
    read_pairs,
    rewards_of,
    score_of,
)

GOOD, BAD, OTHER = (MetaPlan(steps=(word,)) for word in ("Take it.", "Wait.", "Look."))
TASKS = {
    key: Task(key=key, benchmark="household", task_set="train", task_type="any")
    for key in ("t/1", "t/2")
}
PLANS = [MetaPlan(steps=(f"Go to place {letter}.",)) for letter in "abcdef"]
SCORES = st.lists(
    st.builds(
        PlanScore,
        task_key=st.sampled_from(["t/1", "t/2", "t/3"]),
        plan=st.sampled_from(PLANS),
        mean=st.sampled_from([0.0, 0.2, 0.4, 1.0]),
        standard_error=st.just(0.0),
        count=st.just(5),
    ),
    max_size=12,
    unique_by=lambda score: (score.task_key, score.plan.key),
)


def score(plan, mean, task_key="t/1"):
    return PlanScore(task_key=task_key, plan=plan, mean=mean, standard_error=0.0, count=5)


def specs_of(plans, episodes_per_plan=3):
    keys = {task: [plan.key for plan in group] for task, group in plans.items()}
    return exploration_specs(
        Uniform(keys, episodes_per_plan).next_round({}).episodes,
        by_key(plans),
        TASKS,
        placement=Placement.INSTRUCTION,
        environments=dict.fromkeys(TASKS, "e"),
        agent="a",
    )


def by_key(plans):
    return {task: {plan.key: plan for plan in group} for task, group in plans.items()}


def test_uniform_exploration_plays_each_plan_equally_often():
    specs = specs_of({"t/1": [GOOD, BAD], "t/2": [GOOD]})
    assert [(s.task.key, s.plan, s.repetition) for s in specs] == [
        *(("t/1", GOOD, n) for n in range(3)),
        *(("t/1", BAD, n) for n in range(3)),
        *(("t/2", GOOD, n) for n in range(3)),
    ]
    assert len({s.key for s in specs}) == 9


def test_more_episodes_per_plan_contain_the_fewer():
    few, many = specs_of({"t/1": [GOOD]}, 3), specs_of({"t/1": [GOOD]}, 5)
    assert [s.key for s in many[:3]] == [s.key for s in few]


def test_a_plans_score_is_the_mean_reward_of_its_episodes():
    plans = {"t/1": [GOOD, BAD]}
    specs = specs_of(plans)
    rewards = dict(zip((s.key for s in specs), (1.0, 0.0, 1.0, 0.0, 0.0, 0.0), strict=True))
    scores = plan_scores(by_key(plans), rewards_of(specs, rewards))
    assert [(s.plan, s.mean, s.count) for s in scores] == [(GOOD, 2 / 3, 3), (BAD, 0.0, 3)]
    assert scores[0].standard_error == pytest.approx(1 / 3)


def test_a_plan_that_lacks_an_episode_is_incomplete_and_in_no_pair():
    plans = {"t/1": [GOOD, BAD, OTHER]}
    worth = {GOOD: 1.0, BAD: 0.0, OTHER: 0.5}
    specs = specs_of(plans)
    played = {s.key: worth[s.plan] for s in specs if (s.plan, s.repetition) != (BAD, 2)}
    earned = rewards_of(specs, played)
    assert incomplete_plans(earned) == [("t/1", BAD.key)]
    (pair,) = preference_pairs(plan_scores(by_key(plans), earned))
    assert (pair.chosen, pair.rejected) == (GOOD, OTHER)


@given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=8), st.randoms())
def test_a_score_is_exact_and_does_not_depend_on_the_order(rewards, random):
    shuffled = random.sample(rewards, len(rewards))
    found = score_of("t/1", GOOD, rewards)
    assert found == score_of("t/1", GOOD, shuffled)
    assert found.mean == pytest.approx(math.fsum(rewards) / len(rewards), abs=1e-15)
    assert min(rewards) <= found.mean <= max(rewards)


@given(st.floats(0.0, 1.0), st.integers(1, 30))
def test_equal_rewards_score_that_reward_with_no_error(reward, count):
    found = score_of("t/1", GOOD, [reward] * count)
    assert (found.mean, found.standard_error) == (reward, 0.0)


@given(SCORES, st.randoms())
def test_pairs_do_not_depend_on_the_order_of_samples(scores, random):
    shuffled = random.sample(scores, len(scores))
    assert preference_pairs(shuffled) == preference_pairs(scores)
    assert best_plans(shuffled) == best_plans(scores)


@given(SCORES)
def test_each_task_with_different_scores_gives_its_best_against_its_worst(scores):
    pairs = {pair.task_key: pair for pair in preference_pairs(scores)}
    for task_key in {score.task_key for score in scores}:
        means = [score.mean for score in scores if score.task_key == task_key]
        if min(means) == max(means):
            assert task_key not in pairs
        else:
            pair = pairs[task_key]
            assert (pair.chosen_score, pair.rejected_score) == (max(means), min(means))
            assert pair.chosen != pair.rejected


def test_equal_scores_are_equal_by_value_not_by_place():
    """Best and worst of three equal plans and a better one in any place."""
    assert preference_pairs([score(GOOD, 0.4), score(BAD, 0.4), score(OTHER, 0.4)]) == []
    for scores in ([score(GOOD, 0.4), score(BAD, 0.0)], [score(BAD, 0.0), score(GOOD, 0.4)]):
        (pair,) = preference_pairs(scores)
        assert (pair.chosen, pair.rejected) == (GOOD, BAD)


def test_among_equally_good_plans_the_smallest_key_is_taken():
    smallest = min((GOOD, OTHER), key=lambda plan: plan.key)
    for plans in ((GOOD, OTHER), (OTHER, GOOD)):
        scores = [*(score(plan, 0.8) for plan in plans), score(BAD, 0.2)]
        assert preference_pairs(scores)[0].chosen == smallest
        assert best_plans(scores)[0].plan == smallest


def test_all_plans_that_share_a_score_are_taken_as_far_as_each_has_a_partner():
    more = [MetaPlan(steps=(f"Go to place {number}.",)) for number in range(3)]
    scores = [*(score(plan, 1.0) for plan in (GOOD, OTHER, *more)), score(BAD, 0.5)]
    worst = [score(MetaPlan(steps=(f"Wait {number}.",)), 0.0) for number in range(2)]
    pairs = preference_pairs([*scores, *worst], "all")
    best = sorted((GOOD, OTHER, *more), key=lambda plan: plan.key)
    assert [pair.chosen for pair in pairs] == best[:2]
    assert {pair.rejected for pair in pairs} == {score.plan for score in worst}
    assert [found.plan for found in best_plans([*scores, *worst], "all")] == best


@pytest.mark.parametrize("ties", ["one", "all"])
def test_every_worst_plan_is_held_against_a_merged_one_among_the_best(ties):
    merged = score(MetaPlan(steps=("Go everywhere.",)), 1.0).model_copy(update={"merged": True})
    worst = [score(plan, 0.0) for plan in PLANS[:3]]
    pairs = preference_pairs([score(GOOD, 1.0), merged, score(OTHER, 1.0), *worst], ties)
    assert {pair.chosen for pair in pairs} == {merged.plan}
    assert len({pair.rejected for pair in pairs}) == (1 if ties == "one" else 3)


def test_a_merged_plan_that_is_not_among_the_best_is_a_plan_as_any_other():
    merged = score(MetaPlan(steps=("Go everywhere.",)), 0.0).model_copy(update={"merged": True})
    pairs = preference_pairs([score(GOOD, 1.0), score(OTHER, 1.0), merged, score(BAD, 0.0)], "all")
    assert {pair.chosen for pair in pairs} == {GOOD, OTHER}
    assert {pair.rejected for pair in pairs} == {merged.plan, BAD}


@given(SCORES)
def test_more_pairs_of_a_task_begin_with_its_only_one(scores):
    tasks = {}
    for pair in preference_pairs(scores, "all"):
        tasks.setdefault(pair.task_key, []).append(pair)
    assert [pairs[0] for pairs in tasks.values()] == preference_pairs(scores)
    for pairs in tasks.values():
        assert len({p.chosen for p in pairs}) == len({p.rejected for p in pairs}) == len(pairs)
        assert len({(p.chosen_score, p.rejected_score) for p in pairs}) == 1


def test_rft_takes_the_best_plan_of_each_task_that_ever_worked():
    scores = [score(GOOD, 0.2), score(BAD, 0.0), score(BAD, 0.0, "t/2"), score(OTHER, 0.0, "t/2")]
    assert best_plans(scores) == [score(GOOD, 0.2)]


def write(path, *records):
    path.write_text("".join(json.dumps(record) + "\n" for record in records), "utf-8")
    return path


def test_pairs_of_ones_own_are_read_as_texts_or_as_chat_messages(tmp_path):
    path = write(
        tmp_path / "pairs.jsonl",
        {"task_key": "t/1", "chosen": GOOD.text, "rejected": BAD.tagged()},
        {
            "task_key": "t/2",
            "chosen": [{"role": "assistant", "content": GOOD.tagged()}],
            "rejected": [{"role": "assistant", "content": BAD.tagged()}],
            "chosen_score": 0.8,
            "rejected_score": 0.2,
        },
    )
    first, second = read_pairs(path, TASKS)
    assert (first.chosen, first.rejected, first.chosen_score) == (GOOD, BAD, 1.0)
    assert (second.task_key, second.chosen_score, second.rejected_score) == ("t/2", 0.8, 0.2)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"task_key": "t/9"}, "'t/9' is not among the run's training tasks"),
        ({"task_key": ["t/1"]}, "is not among the run's training tasks"),
        ({"chosen": "Take it."}, "'chosen' .* numbered steps"),
        ({"rejected": None}, "'rejected' .* numbered steps"),
        ({"rejected": []}, "'rejected' .* numbered steps"),
        ({"chosen_score": "high"}, "chosen_score"),
        ({"rejected_score": 2}, "rejected_score"),
        ({"rejected": GOOD.text}, "the same plan"),
    ],
)
def test_a_wrong_pair_is_named_by_file_and_line(tmp_path, wrong, message):
    fine = {"task_key": "t/1", "chosen": GOOD.text, "rejected": BAD.text}
    path = write(tmp_path / "pairs.jsonl", fine, {**fine, **wrong})
    with pytest.raises(DataError, match=rf"pairs\.jsonl, line 2: .*{message}"):
        read_pairs(path, TASKS)
