import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metaplan.core import MetaPlan
from metaplan.exploration import Adaptive, Uniform, preference_pairs, score_of


class Table:
    """What the episodes of each plan earn; None where they come to nothing."""

    def __init__(self, qualities, seed=0, *, dense=False, void=0.0):
        random = np.random.default_rng(seed)
        self.plans = {}
        self._rewards = {}
        for number, worth in enumerate(qualities):
            task = f"t/{number}"
            self.plans[task] = [f"p{place}" for place in range(len(worth))]
            for plan, quality in zip(self.plans[task], worth, strict=True):
                drawn = random.beta(8 * quality + 0.1, 8.1 - 8 * quality, 300)
                rewards = drawn if dense else (random.random(300) < quality).astype(float)
                fails = random.random(300) < void
                self._rewards[task, plan] = [
                    None if fail else float(reward)
                    for fail, reward in zip(fails, rewards, strict=True)
                ]

    def play(self, allocation):
        """All episodes in the order in which they were asked for, and the rewards."""
        asked, rewards = [], {}
        while episodes := allocation.next_round(rewards).episodes:
            asked += episodes
            for task, plan, repetition in episodes:
                earned = rewards.setdefault((task, plan), [])
                assert repetition == len(earned)  # one after the other, none twice
                earned.append(self._rewards[task, plan][repetition])
        return asked, rewards


tables = st.builds(
    Table,
    st.lists(
        st.lists(st.sampled_from([0.0, 0.1, 0.5, 0.9, 1.0]), min_size=0, max_size=5),
        min_size=1,
        max_size=12,
    ),
    st.integers(0, 99),
    dense=st.booleans(),
    void=st.sampled_from([0.0, 0.2, 1.0]),
)


def test_uniform_exploration_is_one_round():
    asked, rewards = Table([[0.5, 0.5], [0.5]]).play(Uniform({"t/0": ["p0", "p1"]}, 3))
    assert len(asked) == 6
    assert {plan: len(earned) for plan, earned in rewards.items()} == {
        ("t/0", "p0"): 3,
        ("t/0", "p1"): 3,
    }


@settings(deadline=None)
@given(tables, st.integers(0, 120), st.integers(0, 60))
def test_a_larger_budget_begins_with_the_episodes_of_a_smaller(table, budget, more):
    few, _ = table.play(Adaptive(table.plans, budget))
    many, _ = table.play(Adaptive(table.plans, budget + more))
    assert len(few) <= budget
    assert many[: len(few)] == few


@settings(deadline=None)
@given(tables, st.randoms())
def test_a_round_depends_on_the_rewards_alone(table, random):
    """Not on the order of tasks, or in which plans were played: a resumed run decides alike."""
    _, rewards = table.play(Adaptive(table.plans, 40))
    shuffled = [dict(random.sample(list(d.items()), len(d))) for d in (table.plans, rewards)]
    there, again = Adaptive(table.plans, 90), Adaptive(shuffled[0], 90)
    assert again.next_round(shuffled[1]) == there.next_round(rewards)


@settings(deadline=None)
@given(tables)
def test_a_plan_that_lacks_an_episode_is_played_no_further_and_the_exploration_ends(table):
    _, rewards = table.play(Adaptive(table.plans, 200))
    following = Adaptive(table.plans, 10**6).next_round(rewards)
    incomplete = {plan for plan, earned in rewards.items() if None in earned}
    assert incomplete.isdisjoint((task, plan) for task, plan, _ in following.episodes)


def counts(table, budget):
    _, rewards = table.play(Adaptive(table.plans, budget))
    return {plan: len(earned) for plan, earned in rewards.items()}


def test_plans_between_best_and_worst_are_played_least():
    played = counts(Table([[0.95, 0.5, 0.5, 0.5, 0.05]] * 60), 60 * 12)
    ends = [n for (_, plan), n in played.items() if plan in {"p0", "p4"}]
    middle = [n for (_, plan), n in played.items() if plan not in {"p0", "p4"}]
    assert np.mean(ends) > 1.4 * np.mean(middle)


def test_tasks_whose_plans_tie_are_left_alone():
    tied = [[1.0] * 5, [0.0] * 5] * 15
    open_ = [[0.75, 0.6, 0.5, 0.4, 0.25]] * 30
    table = Table(tied + open_)
    played = counts(table, 60 * 15)
    by_task = [sum(played[f"t/{task}", f"p{plan}"] for plan in range(5)) for task in range(60)]
    assert np.mean(by_task[:30]) < 0.8 * np.mean(by_task[30:])
    _, rewards = table.play(Adaptive(table.plans, 60 * 15))
    standing = Adaptive(table.plans, 0).next_round(rewards)
    assert standing.tied + standing.decided + standing.open == 60
    assert standing.episodes == ()
    assert standing.tied > 10


def test_an_only_plan_is_played_once_for_rft_has_to_know_whether_it_works():
    assert counts(Table([[0.5]] * 5), 100) == {(f"t/{task}", "p0"): 1 for task in range(5)}


def test_what_is_decided_leaves_its_budget_unspent():
    asked, _ = (table := Table([[1.0, 0.0]] * 40)).play(Adaptive(table.plans, 40 * 50))
    assert len(asked) < 40 * 12


@pytest.mark.parametrize("dense", [False, True])
def test_two_fifths_of_the_episodes_find_nearly_all_there_is_in_clear_and_tied_tasks(dense):
    random = np.random.default_rng(1)
    qualities = [random.choice([0.05, 0.95], 5).tolist() for _ in range(40)]
    qualities += [[float(random.random())] * 5 for _ in range(40)]
    possible = sum(max(worth) - min(worth) for worth in qualities) / len(qualities)
    tables = [Table(qualities, seed, dense=dense) for seed in range(4)]
    adaptive, uniform = (
        np.mean([true_gap(table, qualities, allocation(table)) for table in tables])
        for allocation in (
            lambda table: Adaptive(table.plans, 80 * 10),
            lambda table: Uniform(table.plans, 2),
        )
    )
    assert uniform <= adaptive <= possible + 1e-9
    assert adaptive > 0.98 * possible


def true_gap(table, qualities, allocation):
    texts = {f"p{n}": MetaPlan(steps=(f"Go to place {n}.",)) for n in range(5)}
    numbers = {plan: int(name[1:]) for name, plan in texts.items()}
    _, rewards = table.play(allocation)
    scores = [score_of(task, texts[plan], earned) for (task, plan), earned in rewards.items()]
    gaps = [
        qualities[int(pair.task_key[2:])][numbers[pair.chosen]]
        - qualities[int(pair.task_key[2:])][numbers[pair.rejected]]
        for pair in preference_pairs(scores)
    ]
    return sum(gaps) / len(qualities)
