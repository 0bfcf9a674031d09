"""Conditions found by search are those found by trying everything."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metaplan.environments.alfworld.conditions import World
from metaplan.environments.alfworld.pddl import Domain, Problem, Unsupported

OBJECTS = {"cup": ("c1", "c2"), "box": ("b1", "b2", "b3")}
EVERYTHING = [name for names in OBJECTS.values() for name in names]
PREDICATES = {"in": 2, "open": 1, "hot": 1}
DOMAIN = """(define (domain d) (:types cup box)
(:action act :parameters (?x - cup ?y - box) :precondition {precondition}
 :effect (and (in ?x ?y) (not (open ?y)) (when (hot ?x) (not (hot ?x))))))"""
PROBLEM = "(define (problem p) (:objects c1 c2 - cup b1 b2 b3 - box) (:init {init}) (:goal {goal}))"

facts = st.frozensets(
    st.sampled_from(sorted(PREDICATES)).flatmap(
        lambda name: st.tuples(st.just(name), *[st.sampled_from(EVERYTHING)] * PREDICATES[name])
    ),
    max_size=10,
)


def atoms(variables):
    terms = st.sampled_from([*variables, "b1", "c2"])
    return st.sampled_from(sorted(PREDICATES)).flatmap(
        lambda name: st.tuples(st.just(name), *[terms] * PREDICATES[name])
    )


def conditions(variables, depth=2):
    if depth == 0:
        return atoms(variables)
    inner = conditions(variables, depth - 1)
    deeper = conditions([*variables, f"?q{depth}"], depth - 1)
    return st.one_of(
        inner,
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: ("and", *parts)),
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: ("or", *parts)),
        inner.map(lambda part: ("not", part)),
        st.tuples(st.just("="), st.sampled_from(variables), st.sampled_from([*variables, "b1"])),
        deeper.map(lambda part: ("exists", (f"?q{depth}", "-", "box"), part)),
    )


def holds(tree, binding, true):
    match tree:
        case ("and", *parts):
            return all(holds(part, binding, true) for part in parts)
        case ("or", *parts):
            return any(holds(part, binding, true) for part in parts)
        case ("not", part):
            return not holds(part, binding, true)
        case ("=", left, right):
            return binding.get(left, left) == binding.get(right, right)
        case ("exists", (name, _, kind), part):
            return any(holds(part, {**binding, name: value}, true) for value in OBJECTS[kind])
    return (tree[0], *(binding.get(term, term) for term in tree[1:])) in true


def spelt(tree):
    return tree if isinstance(tree, str) else f"({' '.join(spelt(part) for part in tree)})"


@given(conditions(["?x", "?y"]), facts)
def test_an_action_applies_exactly_where_its_condition_holds(condition, true):
    domain = Domain.parse(DOMAIN.format(precondition=spelt(condition)))
    init = " ".join(spelt(fact) for fact in true)
    problem = Problem.parse(PROBLEM.format(init=init, goal="(and)"), domain)
    found = list(domain.actions["act"].applicable(problem.world))
    assert len(found) == len(set(found))
    assert set(found) == {
        (x, y)
        for x, y in product(OBJECTS["cup"], OBJECTS["box"])
        if holds(condition, {"?x": x, "?y": y}, true)
    }


@given(conditions(["c1"]), facts)
def test_a_goal_is_reached_exactly_where_it_holds(goal, true):
    domain = Domain.parse(DOMAIN.format(precondition="()"))
    init = " ".join(spelt(fact) for fact in true)
    problem = Problem.parse(PROBLEM.format(init=init, goal=spelt(goal)), domain)
    reached = next(problem.goal.solutions({}, problem.world), None) is not None
    assert reached == holds(goal, {}, true)


def small_world(*true):
    domain = Domain.parse(DOMAIN.format(precondition="()"))
    return domain, Problem.parse(PROBLEM.format(init=" ".join(true), goal="(and)"), domain).world


def test_effects_are_judged_before_any_is_done():
    domain, world = small_world("(hot c1)", "(open b1)")
    domain.actions["act"].apply(("c1", "b1"), world)
    assert world.true_for("in") == {("c1", "b1")}
    assert not world.true_for("hot")
    assert not world.true_for("open")
    assert world.true_for("not_open") == {("b1",)}


def test_a_copied_world_leaves_the_first_alone():
    domain, world = small_world("(open b1)")
    copy: World = world.copy(domain.changing)
    domain.actions["act"].apply(("c1", "b1"), copy)
    assert world.true_for("open") == {("b1",)}
    assert not world.true_for("in")


def test_an_action_that_cannot_change_anything_is_none():
    """Fast Downward has no operator for going where one is."""
    domain = Domain.parse(
        """(define (domain d) (:types box)
        (:action go :parameters (?x - box ?y - box) :precondition (and (at ?x) (door ?y))
         :effect (and (not (at ?x)) (at ?y))))"""
    )
    problem = Problem.parse(
        "(define (problem p) (:objects b1 b2 - box) (:init (at b1) (door b1) (door b2)) "
        "(:goal (at b2)))",
        domain,
    )
    assert list(domain.actions["go"].applicable(problem.world)) == [("b1", "b2")]


@pytest.mark.parametrize(
    "precondition", ["(forall (?z - box) (open ?z))", "(imply (hot ?x) (open ?y))"]
)
def test_what_is_not_understood_is_refused(precondition):
    with pytest.raises(Unsupported):
        Domain.parse(DOMAIN.format(precondition=precondition))


@pytest.mark.parametrize("text", ["", "(define (domain d)", "(define (domain d)))"])
def test_unbalanced_text_is_refused(text):
    with pytest.raises(Unsupported):
        Domain.parse(text)
