import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metaplan.core import MetaPlan, Placement
from metaplan.models import FollowerSettings, PlanFollower, Sampling
from metaplan.models.follower.scienceworld.intents import read_plan, read_subject, read_task
from metaplan.models.follower.scienceworld.memory import Memory

KITCHEN = """This room is called the kitchen. In it, you see:
\tthe agent
\ta substance called air
\ta counter. On the counter is: a bowl (containing a red apple, a banana), a drawer.
\ta cupboard. The cupboard door is open. In the cupboard is: a metal pot (containing nothing).
\ta sink, which is turned off. In the sink is: nothing.
\ta stove, which is turned off. On the stove is: nothing.
\ta thermometer, currently reading a temperature of 10 degrees celsius
You also see:
\tA door to the bathroom (that is open)
\tA door to the outside (that is open)"""
OUTSIDE = """This outside location is called the outside. Here you see:
\tthe agent
\tan axe
\ta dove egg
\ta flower pot 3 (containing soil, a substance called water)
\ta flower pot 8 (containing a cherry tree in the adult stage, soil)
\ta fountain (containing a substance called water)
You also see:
\tA door to the kitchen (that is open)"""
BOIL = "Your task is to boil water. First, focus on the substance. Then, change its state."
FIND = (
    "Your task is to find a(n) living thing. First, focus on the thing. Then, move it to the red "
    "box in the kitchen."
)
INTRO = "This meta plan maybe helpful for you to complete the task:"
UNKNOWN = "No known action matches that input."
SURE = FollowerSettings(error_rate=0, format_error_rate=0, forgetfulness=0, skip_rate=0)


def opening(*steps, task=BOIL, room=KITCHEN):
    plan = f"\n\n{INTRO}\n{MetaPlan(steps=steps).text}" if steps else ""
    return [{"role": "user", "content": f"{task}\n\n{room}{plan}"}]


def after(messages, *turns):
    """The conversation, grown by (action, observation) pairs."""
    for action, observation in turns:
        messages = [
            *messages,
            {"role": "assistant", "content": f"Thought: So.\nAction: {action}"},
            {"role": "user", "content": f"Observation: {observation}"},
        ]
    return messages


async def reply(messages, follower_settings=SURE, model=None, session=None, **sampling):
    model = model or PlanFollower(follower_settings)
    (completion,) = await model.complete(messages, Sampling(**sampling), session=session)
    return completion.text


async def action(messages, follower_settings=SURE, **sampling):
    return (await reply(messages, follower_settings, **sampling)).split("\nAction: ")[1]


def moved(thing, place):
    return f"move {thing} to {place}", f"You move the {thing} to the {place}."


def picked(thing):
    return f"pick up {thing}", f"You move the {thing} to the inventory."


async def test_the_steps_are_carried_out_in_order_and_in_the_simulators_words():
    talk = opening(
        "Pick up the thermometer.",
        "Move the metal pot to the sink.",
        "Activate and deactivate the sink.",
        "Focus on the water.",
        "Use the thermometer on the water.",
    )
    done = [
        picked("thermometer"),
        moved("metal pot", "sink"),
        ("activate sink", "The sink is now activated."),
        ("deactivate sink", "The sink is now deactivated."),
        ("focus on water", "You focus on the water."),
        ("use thermometer on water", "the thermometer measures a temperature of 11 degrees"),
    ]
    for turn in done:
        assert await action(talk) == turn[0]
        talk = after(talk, turn)
    assert await action(talk) == "wait"


async def test_where_the_plan_says_to_go_it_teleports_unless_it_is_there():
    steps = ("Teleport to the kitchen.", "Pick up the thermometer.")
    assert await action(opening(*steps)) == "pick up thermometer"
    assert await action(opening(*steps, room=OUTSIDE)) == "teleport to kitchen"


async def test_after_a_slip_to_another_room_it_comes_back():
    talk = opening("Teleport to the kitchen.", "Pick up the thermometer.", room=OUTSIDE)
    talk = after(talk, ("teleport to kitchen", "You teleport to the kitchen."))
    talk = after(talk, ("teleport to outside", "You teleport to the outside."))
    assert await action(talk) == "teleport to kitchen"


async def test_what_is_not_here_is_looked_for_in_other_rooms():
    talk = after(opening("Focus on the dove egg."), ("focus on dove egg", UNKNOWN))
    talk = after(talk, ("look around", KITCHEN))
    assert await action(talk) in {"teleport to bathroom", "teleport to outside"}
    found = after(
        talk, ("teleport to outside", "You teleport to the outside."), ("look around", OUTSIDE)
    )
    impatient = SURE.model_copy(update={"patience": 0})
    assert await action(talk, impatient) == "look around"
    assert "focus on dove egg" in {
        await action(found, SURE, temperature=1, seed=n) for n in range(9)
    }


async def test_with_what_it_found_elsewhere_it_comes_back_to_where_the_plan_is():
    talk = after(
        opening(
            "Teleport to the kitchen.", "Pick up the axe.", "Activate the stove.", room=OUTSIDE
        ),
        ("teleport to kitchen", "You teleport to the kitchen."),
        ("pick up axe", UNKNOWN),
        ("look around", KITCHEN),
    )
    assert await action(talk) == "teleport to outside"
    talk = after(
        talk,
        ("teleport to outside", "You teleport to the outside."),
        ("look around", OUTSIDE),
        picked("axe"),
    )
    assert await action(talk) == "teleport to kitchen"


async def test_a_number_says_which_thing_was_meant():
    asked = (
        "Ambiguous request: Please enter the number for the action you intended:\n"
        "0:\tmove apple seed (in flower pot 1, in greenhouse) to flower pot 3 (in greenhouse)\n"
        "1:\tmove apple seed (in seed jar, in inventory, in agent) to flower pot 3 (in greenhouse)"
    )
    talk = after(
        opening("Move the apple seed to the flower pot.", "Wait.", room=OUTSIDE),
        ("move apple seed to flower pot", asked),
    )
    assert await action(talk) == "1"
    talk = after(talk, ("1", "You move the apple seed to the flower pot 3."))
    assert await action(talk) == "wait"


async def test_any_thing_of_a_kind_may_be_its_example_or_another_one():
    step = "Focus on the living thing, such as the {}."
    look = ("look around", OUTSIDE)
    for example, wanted in (("dove egg", {"dove egg"}), ("parrot", {"dove egg", "cherry tree"})):
        talk = after(opening(step.format(example), task=FIND, room=OUTSIDE), look)
        chosen = {await action(talk, temperature=1, seed=seed) for seed in range(9)}
        assert {name.removeprefix("focus on ").partition(" in ")[0] for name in chosen} <= wanted


async def test_what_holds_the_thing_in_focus_is_taken():
    talk = after(
        opening("Focus on the cherry tree.", "Pick up the flower pot.", task=FIND, room=OUTSIDE),
        ("focus on cherry tree", "You focus on the cherry tree."),
        ("pick up flower pot", UNKNOWN),
    )
    assert await action(talk) == "pick up flower pot 8"


async def test_every_pot_gets_its_seed():
    talk = after(
        opening("Move the seed to each flower pot.", room=OUTSIDE), ("look around", OUTSIDE)
    )
    assert await action(talk) == "move seed to flower pot 3"
    talk = after(talk, moved("seed", "flower pot 3"))
    assert await action(talk) == "move seed to flower pot 8"


async def test_wires_are_connected_by_their_free_ends():
    talk = opening(
        "Connect the battery anode to the red wire.", "Connect the red wire to the bulb anode."
    )
    assert await action(talk) == "connect battery anode to red wire"
    talk = after(
        talk,
        (
            "connect battery anode to red wire",
            "Connections must specify specific points (e.g. terminal 1)",
        ),
    )
    assert await action(talk) == "connect battery anode to red wire terminal 1"
    joined = "anode on battery is now connected to terminal 1 on red wire"
    talk = after(talk, ("connect battery anode to red wire terminal 1", joined))
    assert await action(talk) == "connect red wire terminal 2 to bulb anode"


async def test_it_measures_until_the_substance_is_another():
    step = "Keep using the thermometer on the water until it becomes steam."
    talk = opening(step, "Focus on the red box.")
    use = "use thermometer on water"
    for degrees in (90, 95):
        assert await action(talk) == use
        talk = after(talk, (use, f"the thermometer measures a temperature of {degrees} degrees"))
    assert await action(after(talk, (use, UNKNOWN))) == "focus on red box"


async def test_it_waits_until_it_sees_what_the_plan_waits_for():
    talk = opening("Wait until you see the hatchling dove.", "Focus on the hatchling dove.")
    assert await action(talk) == "look around"
    assert await action(after(talk, ("look around", OUTSIDE))) == "look around"
    grown = OUTSIDE.replace("dove egg", "hatchling dove")
    assert await action(after(talk, ("look around", grown))) == "focus on hatchling dove"


async def test_what_the_plan_leaves_out_is_not_done():
    talk = after(opening("Pick up the thermometer."), picked("thermometer"))
    assert await action(talk) == "wait"


async def test_without_a_plan_it_does_what_the_task_says():
    talk = after(opening(room=OUTSIDE), ("look around", OUTSIDE))
    assert await action(talk) == "focus on water"
    talk = after(opening(task=FIND, room=OUTSIDE), ("look around", OUTSIDE))
    assert (await action(talk)).startswith("focus on ")


async def test_without_a_plan_it_may_forget_the_last_deed():
    egg = ("focus on dove egg", "You focus on the dove egg.")
    task = FIND.replace("living thing", "animal")
    talk = after(opening(task=task, room=OUTSIDE), egg)
    assert await action(talk) == "pick up dove egg"
    assert await action(talk, SURE.model_copy(update={"forgetfulness": 1.0})) == "wait"


async def test_a_session_goes_on_with_the_same_answers():
    errant = FollowerSettings(error_rate=0.5)
    model = PlanFollower(errant)
    talk = opening("Pick up the thermometer.", "Move the metal pot to the sink.", "Wait.")
    for number in range(15):
        known = await reply(talk, model=model, session="a", temperature=1, seed=3)
        assert known == await reply(talk, errant, temperature=1, seed=3)
        assert known == await reply(talk, model=model, session="a", temperature=1, seed=3)
        talk = after(talk, (known.rpartition("Action: ")[2], f"You see {number} things."))


async def test_a_session_that_tells_another_story_is_lived_through_again():
    model = PlanFollower(SURE)
    talk = opening("Pick up the thermometer.", "Move the metal pot to the sink.")
    going_on = after(talk, picked("thermometer"))
    assert (await reply(going_on, model=model, session="a")).endswith("move metal pot to sink")
    assert (await reply(talk, model=model, session="a")).endswith("pick up thermometer")


@pytest.mark.parametrize(
    ("step", "wanted"),
    [
        ("Teleport to the art studio.", [("go", "", "")]),
        (
            "Go to the kitchen and find the thermometer",
            [("go", "", ""), ("search", "thermometer", "")],
        ),
        ("Go to where the thermometer may be located.", [("search", "thermometer", "")]),
        (
            "Pour the cup containing red paint into the jug.",
            [("pour", "cup containing red paint", "jug")],
        ),
        ("Place the seed in the flower pot", [("move", "seed", "flower pot")]),
        (
            "Move the living thing to the red box in the kitchen.",
            [("move", "living thing", "red box")],
        ),
        (
            "Use the thermometer to measure the temperature of the ice",
            [("use", "thermometer", "ice")],
        ),
        ("Turn on the stove", [("activate", "stove", "")]),
        ("Pick up and read the recipe", [("pick", "recipe", ""), ("read", "recipe", "")]),
        ("If the sink is broken, go to the bathroom", []),
        ("Once it boils, deactivate the stove", [("deactivate", "stove", "")]),
        ("Focus on the tree in the adult stage.", [("focus", "tree in the adult stage", "")]),
        ("Rejoice", [("other", "", "")]),
    ],
)
def test_a_step_is_read_by_its_words(step, wanted):
    intents = read_plan(MetaPlan(steps=(step,)))
    assert [(intent.verb, intent.thing, intent.place) for intent in intents] == wanted


@pytest.mark.parametrize(
    ("task", "subject"),
    [
        ("Your task is to boil water. First, focus on the substance.", "water"),
        ("Your task is to change the state of matter of mercury.", "mercury"),
        (
            "Your task is to find a(n) non-living thing. First, focus on the thing.",
            "non-living thing",
        ),
        ("Your task is to determine if glass is electrically conductive.", "glass"),
        ("Your task is to wait.", ""),
    ],
)
def test_what_a_task_is_about(task, subject):
    assert read_subject(task) == subject


def test_of_a_task_only_what_does_not_hang_on_a_measurement_is_read():
    task = (
        "Your task is to measure the melting point of chocolate, which is located around the "
        "kitchen. First, focus on the thermometer. If the melting point of chocolate is above 9.0 "
        "degrees celsius, focus on the blue box."
    )
    assert [(intent.verb, intent.thing or intent.room) for intent in read_task(task)] == [
        ("go", "kitchen"),
        ("focus", "thermometer"),
    ]


def test_the_memory_keeps_what_stands_where():
    memory = Memory()
    memory.observe("look around", f"Observation: {KITCHEN}\n\n{INTRO}\nStep 1: See the lamp.")
    assert memory.room == "kitchen"
    assert memory.doors == ["kitchen", "bathroom", "outside"]
    assert {"metal pot", "red apple", "thermometer"} <= set(memory.things())
    assert memory.items() == ["counter", "cupboard", "sink", "stove", "thermometer"]
    assert not memory.sees("lamp")


@settings(max_examples=60, deadline=None)
@given(
    steps=st.lists(st.text(min_size=1).filter(str.strip), max_size=4),
    observations=st.lists(st.text(), max_size=4),
    placement=st.sampled_from(Placement),
)
async def test_no_text_breaks_it(steps, observations, placement):
    plan = f"\n\n{INTRO}\n" + "\n".join(f"Step {i}: {step}" for i, step in enumerate(steps, 1))
    talk = opening()
    talk[0]["content"] += plan * (placement is Placement.INSTRUCTION)
    for observation in observations:
        said = observation + plan * (placement is Placement.OBSERVATION)
        talk = after(talk, (await action(talk), said))
    if placement is Placement.THOUGHT:
        talk.append({"role": "assistant", "content": f"Thought: {plan}\n"})
    assert "Action: " in await reply(talk)


async def test_a_failure_is_tried_once_more_and_then_nothing_is_left_to_do():
    talk = opening("Activate the lamp.")
    said = []
    while "finish" not in said:
        said.append(await action(talk, SURE.model_copy(update={"patience": 0})))
        talk = after(talk, (said[-1], KITCHEN if said[-1] == "look around" else UNKNOWN))
    assert said.count("activate lamp") == 2
    assert said.count("wait") == 8


PAINT = (
    "Teleport to the art studio.",
    "Pour the cup containing blue paint into the jug.",
    "Pour the cup containing yellow paint into the jug.",
    "Mix the jug.",
    "Focus on the green paint.",
)


async def mean_reward(*steps, episodes=4, step_limit=60):
    """In the real simulator, on making green paint, with the default settings."""
    from metaplan.environments.scienceworld import LoadedExperiment

    loaded = LoadedExperiment("chemistry-mix-paint-secondary-color", 0)
    total = 0.0
    for seed in range(episodes):
        environment = loaded.make()
        task, _, room = environment.reset().text.partition("\n\n")
        talk = opening(*steps, task=task, room=room)
        for _ in range(step_limit):
            said = await reply(talk, FollowerSettings(), temperature=0.7, seed=seed)
            chosen = said.partition("\nAction: ")[2]
            result = environment.step(chosen)
            talk = after(talk, (chosen, result.observation))
            if result.terminated:
                break
        total += result.reward
        environment.close()
    return total / episodes


async def test_in_the_real_simulator_reward_depends_on_the_plan():
    pytest.importorskip("scienceworld")
    good = await mean_reward(*PAINT)
    without_mixing = await mean_reward(*PAINT[:3], *PAINT[4:])
    without_plan = await mean_reward()
    assert good > 0.7
    assert good > without_mixing > without_plan


async def test_a_similar_name_is_tried_only_if_the_task_speaks_of_the_difference():
    room = OUTSIDE.replace("dove egg", "yellow seed")
    look = ("focus on red seed", UNKNOWN), ("look around", room)
    step = "Focus on the red seed."
    yellow = after(opening(step, task="Your task is to grow a yellow seed.", room=room), *look)
    assert await action(yellow) == "focus on yellow seed"
    other = after(opening(step, task="Your task is to grow a blue seed.", room=room), *look)
    assert await action(other) == "teleport to kitchen"
    water = after(opening("Focus on the salt water."), ("focus on salt water", UNKNOWN))
    assert await action(after(water, ("look around", OUTSIDE))) != "focus on water"
