"""Our classes in the JVM against the simulator's own, on two variations of each of the 30 types.

`METAPLAN_REPLAYS=8` takes that many variations, and the expert's actions in all of them: many
minutes, so give pytest `--timeout 0`.
"""

import json
import os
import random
from collections.abc import Iterator

import pytest

from metaplan.environments.scienceworld import simulator as module
from metaplan.environments.scienceworld.simulator import Jvm, simplifications

VARIATIONS = int(os.environ.get("METAPLAN_REPLAYS", "2"))
TURNS = 2
# Equal hashes make the order of things in sets a matter of what was done, and not of chance.
STEADY_OPTIONS = (*module.JAVA_OPTIONS, "-XX:+UnlockExperimentalVMOptions", "-XX:hashCode=2")
GARBAGE = (
    "",
    "dance",
    "0",
    "-1",
    "look",
    "mix the",
    "focus on",
    "öffne 門",
    "a " * 50,
    "move air to",
)
VAGUE = (
    "open door",
    "look at door",
    "examine terminal 1",
    "pick up cup",
    "move air to door",
    "go to door",
)


@pytest.fixture(scope="module")
def jvm():
    jvm = Jvm()
    yield jvm
    jvm.stop()


@pytest.fixture(scope="module")
def steady():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "JAVA_OPTIONS", STEADY_OPTIONS)
        jvm = Jvm()
    yield jvm
    jvm.stop()


@pytest.fixture(scope="module")
def walks(jvm):
    """Actions for some variations of each type, as (name, variation) to a list."""
    found = {}
    for name, folds in jvm.variations().items():
        count = sum(map(len, folds.values()))
        for nth in range(VARIATIONS):
            variation = nth * count // VARIATIONS
            found[name, variation] = list(draw(jvm, name, variation))
    return found


def draw(jvm: Jvm, name: str, variation: int) -> Iterator[str]:
    """A random walk: valid actions, and between them what an agent may say by mistake."""
    rng = random.Random(f"{name} {variation}")
    simulator = jvm.simulator()
    simulator.load(name, variation)
    for _ in range(TURNS):
        told = json.loads(simulator.world.getValidActionObjectCombinationsJSON())
        valid = sorted(choice["action"] for choice in told["validActions"])
        likely = [action for action in valid if not action.startswith("reset")]
        going = [action for action in likely if action.startswith("teleport")]
        for action in (rng.choice(going or likely), rng.choice(likely)):
            for said in (misspoken(rng, action), action):
                simulator.step(said)
                yield said


def misspoken(rng: random.Random, action: str) -> str:
    """One of: the action cut short, oddly written, shuffled; something vague; nonsense."""
    words = action.split()
    cut = " ".join(words[: rng.randint(1, len(words))])
    odd = "  ".join(rng.choice(("the", "A", "")) + " " + word.title() for word in words)
    shuffled = [*words, rng.choice(words)]
    rng.shuffle(shuffled)
    return rng.choice([cut, odd, " ".join(shuffled), rng.choice(VAGUE), rng.choice(GARBAGE)])


def test_every_input_is_read_as_the_simulators_own_parser_reads_it(jvm, walks):
    ambiguous = 0
    for (name, variation), actions in walks.items():
        simulator = jvm.simulator()
        simulator.load(name, variation)
        for action in actions:
            own, quick = simulator.world.readings(action)
            assert quick == own, (name, variation, action)
            ambiguous += "Ambiguous request" in own
            simulator.step(action)
    assert ambiguous > len(walks) / 4


def test_an_episode_is_that_of_the_packages_own_interface(steady, walks):
    for (name, variation), actions in walks.items():
        assert ours(steady, name, variation, actions) == stock(steady, name, variation, actions)


def test_a_world_is_the_same_when_it_is_loaded_again(steady, walks):
    for (name, variation), actions in list(walks.items())[:5]:
        first = ours(steady, name, variation, actions)
        assert ours(steady, name, variation, actions) == first


def test_an_experts_episode_is_that_of_the_packages_own_interface(jvm, steady, walks):
    for name, variation in list(walks)[:: 1 if "METAPLAN_REPLAYS" in os.environ else 20]:
        actions, _ = jvm.gold_path(name, variation)
        assert ours(steady, name, variation, actions) == stock(steady, name, variation, actions)


def ours(jvm: Jvm, name: str, variation: int, actions: list[str]) -> list[str]:
    world = jvm.worlds.load(name, variation, simplifications(name))
    start = [jvm.worlds.shared(), world.getTaskDescription()]
    return start + [world.act(action) for action in ("look around", *actions)]


def stock(jvm: Jvm, name: str, variation: int, actions: list[str]) -> list[str]:
    server = jvm.interface()
    assert server.load(name, variation, simplifications(name), False) == ""
    start = [jvm.worlds.shared(), server.getTaskDescription()]
    agent = server.agentInterface().get()
    outcomes = map(agent.step, ("look around", *actions))
    return start + [
        f"{outcome._2()} {str(outcome._3()).lower()} {outcome._1()}" for outcome in outcomes
    ]
