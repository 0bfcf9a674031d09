import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metaplan.core import MetaPlan, Placement
from metaplan.models.contract import ChatModel, Sampling
from metaplan.models.follower import FollowerSettings, PlanFollower
from metaplan.models.follower.alfworld.intents import read_plan
from metaplan.models.follower.alfworld.reading import Goal, read_goal, read_scene
from metaplan.models.follower.reading import read_conversation

ROOM = (
    "You are in the middle of a room. Looking quickly around you, you see a cabinet 1, "
    "a countertop 2, a countertop 1, a coffeemachine 1, a fridge 1, and a sinkbasin 1."
)
TASK = f"{ROOM}\nYour task is to: put a clean mug in coffeemachine."
INTRO = "This meta plan maybe helpful for you to complete the task: "
GOOD = (
    "Go to the countertop.",
    "Take the mug from the countertop.",
    "Go to the sinkbasin.",
    "Clean the mug with the sinkbasin.",
    "Go to the coffeemachine.",
    "Put the mug in/on the coffeemachine.",
)
SURE = FollowerSettings(error_rate=0, format_error_rate=0, forgetfulness=0, skip_rate=0)


def user(text):
    return {"role": "user", "content": text}


def assistant(text):
    return {"role": "assistant", "content": text}


def opening(*steps, task=TASK):
    return [user(f"{task}\n\n{INTRO}\n{MetaPlan(steps=steps).text}" if steps else task)]


def after(messages, *turns):
    """The conversation, grown by (action, observation) pairs."""
    for action, observation in turns:
        messages = [
            *messages,
            assistant(f"Thought: So.\nAction: {action}"),
            user(f"Observation: {observation}"),
        ]
    return messages


async def reply(messages, follower_settings=SURE, **sampling):
    model = PlanFollower(follower_settings)
    (completion,) = await model.complete(messages, Sampling(**sampling))
    return completion.text


async def action(messages, follower_settings=SURE, **sampling):
    return (await reply(messages, follower_settings, **sampling)).split("\nAction: ")[1]


EMPTY_1 = (
    "go to countertop 1",
    "You arrive at countertop 1. On the countertop 1, you see nothing.",
)
MUG_2 = ("go to countertop 2", "On the countertop 2, you see a cup 1, a mug 3, and a fork 1.")
TAKEN = ("take mug 3 from countertop 2", "You pick up the mug 3 from the countertop 2.")


def test_it_is_a_chat_model():
    assert isinstance(PlanFollower(), ChatModel)


async def test_a_named_place_is_searched_instance_by_instance():
    assert await action(opening(*GOOD)) == "go to countertop 1"
    assert await action(after(opening(*GOOD), EMPTY_1)) == "go to countertop 2"
    assert await action(after(opening(*GOOD), EMPTY_1, MUG_2)) == "take mug 3 from countertop 2"


@pytest.mark.parametrize(
    "put",
    ["You put the mug 3 in/on the coffeemachine 1.", "You move the mug 3 to the coffeemachine 1."],
)
async def test_the_steps_are_carried_out_in_order_in_both_grammars(put):
    talk = after(opening(*GOOD), EMPTY_1, MUG_2, TAKEN)
    assert await action(talk) == "go to sinkbasin 1"
    talk = after(talk, ("go to sinkbasin 1", "On the sinkbasin 1, you see nothing."))
    assert await action(talk) == "clean mug 3 with sinkbasin 1"
    talk = after(
        talk, ("clean mug 3 with sinkbasin 1", "You clean the mug 3 using the sinkbasin 1.")
    )
    assert await action(talk) == "go to coffeemachine 1"
    talk = after(talk, ("go to coffeemachine 1", "On the coffeemachine 1, you see nothing."))
    assert await action(talk) == "put mug 3 in/on coffeemachine 1"
    talk = after(talk, ("put mug 3 in/on coffeemachine 1", put))
    assert "All is done" in await reply(talk)


async def test_what_the_plan_leaves_out_is_not_done():
    plan = (*GOOD[:2], *GOOD[4:])
    talk = after(opening(*plan), EMPTY_1, MUG_2, TAKEN)
    assert await action(talk) == "go to coffeemachine 1"


async def test_a_place_that_the_room_lacks_is_tried_twice_in_vain():
    talk = opening("Go to the dresser.", "Take the mug from the dresser.")
    nothing = ("go to dresser", "Nothing happens.")
    assert await action(talk) == "go to dresser"
    assert await action(after(talk, nothing)) == "go to dresser"
    assert await action(after(talk, nothing, nothing)) != "go to dresser"


async def test_an_abstract_step_searches_open_surfaces_first():
    talk = opening("Go to where the mug may be located.", *GOOD[1:])
    first = await action(talk)
    assert first in {"go to countertop 1", "go to countertop 2"}
    cabinet_last = after(
        talk,
        ("go to countertop 2", "On the countertop 2, you see nothing."),
        EMPTY_1,
        ("go to sinkbasin 1", "On the sinkbasin 1, you see nothing."),
    )
    assert await action(cabinet_last) == "go to fridge 1"


async def test_a_closed_place_is_opened_in_a_search():
    talk = opening("Go to the fridge.", "Take the mug from the fridge.")
    talk = after(talk, ("go to fridge 1", "The fridge 1 is closed."))
    assert await action(talk) == "open fridge 1"
    inside = "You open the fridge 1. The fridge 1 is open. In it, you see a mug 1."
    assert await action(after(talk, ("open fridge 1", inside))) == "take mug 1 from fridge 1"


async def test_what_the_plan_closed_is_opened_again_when_needed():
    task = f"{ROOM}\nYour task is to: put a cup in fridge."
    talk = after(
        opening("Take the cup.", "Close the fridge.", "Put the cup in the fridge.", task=task),
        ("go to fridge 1", "The fridge 1 is closed."),
        ("open fridge 1", "You open the fridge 1. The fridge 1 is open. In it, you see a cup 1."),
        ("take cup 1 from fridge 1", "You pick up the cup 1 from the fridge 1."),
    )
    assert await action(talk) == "close fridge 1"
    talk = after(talk, ("close fridge 1", "You close the fridge 1."))
    assert await action(talk) == "open fridge 1"


async def test_an_object_in_sight_ends_a_search_of_named_places():
    plan = ("Go to the countertop.", "Go to the cabinet.", "Take the mug from the cabinet.")
    assert await action(after(opening(*plan), EMPTY_1, MUG_2)) == "take mug 3 from countertop 2"


async def test_after_a_slip_the_step_is_still_done():
    talk = after(opening(*GOOD), ("look", "You are in the middle of a room."))
    assert await action(talk) == "go to countertop 1"


async def test_a_place_that_cannot_be_gone_to_is_examined_from_where_one_stands():
    """In ALFWorld, one spot can be in front of several receptacles."""
    talk = after(opening(*GOOD), ("go to countertop 1", "Nothing happens."))
    assert await action(talk) == "examine countertop 1"
    seen = ("examine countertop 1", "On the countertop 1, you see a mug 1.")
    assert await action(after(talk, seen)) == "take mug 1 from countertop 1"


async def test_a_plan_is_found_in_an_observation():
    talk = after([user(TASK)], ("look", f"You see nothing.\n\n{INTRO}\nStep 1: Go to the cabinet."))
    assert await action(talk) == "go to cabinet 1"


async def test_a_plan_at_the_start_of_the_reply_is_continued():
    begun = f"Thought: {INTRO}\n{MetaPlan(steps=GOOD).text}\n"
    first = await reply([user(TASK), assistant(begun)])
    assert not first.startswith("Thought")
    assert first.endswith("Action: go to countertop 1")
    second = await reply(
        [user(TASK), assistant(begun + first), user(f"Observation: {EMPTY_1[1]}"), assistant(begun)]
    )
    assert second.endswith("Action: go to countertop 2")


async def test_an_example_before_the_task_is_not_taken_for_it():
    example = (
        "You are in the middle of a room. Looking quickly around you, you see a bed 1.\n"
        "Your task is to: put a pen in bed.\nStep 1: Go to the bed.\nAction: go to bed 1"
    )
    content = (
        f"Here is an example.\n{example}\n---\nNow, it's your turn and here is the task.\n{TASK}"
    )
    conversation = read_conversation([user(content)])
    scene = read_scene(conversation)
    assert scene.goal == Goal("mug", target="coffeemachine", treatment="clean")
    assert "bed 1" not in scene.places
    assert conversation.plan is None


async def test_without_a_plan_it_may_forget_the_treatment():
    talk = after([user(TASK)], MUG_2, TAKEN)
    assert await action(talk) in {"go to sinkbasin 1", "clean mug 3 with sinkbasin 1"}
    forgetful = SURE.model_copy(update={"forgetfulness": 1.0})
    assert await action(talk, forgetful) == "go to coffeemachine 1"


async def test_the_second_of_two_is_not_the_one_already_placed():
    task = f"{ROOM}\nYour task is to: put two mug in cabinet."
    talk = after(
        opening("Take the first mug.", "Put it in the cabinet.", "Take the second mug.", task=task),
        ("go to countertop 2", "On the countertop 2, you see a mug 3, and a mug 1."),
        TAKEN,
        ("go to cabinet 1", "On the cabinet 1, you see nothing."),
        ("put mug 3 in/on cabinet 1", "You put the mug 3 in/on the cabinet 1."),
        ("go to countertop 2", "On the countertop 2, you see a mug 1."),
    )
    assert await action(talk) == "take mug 1 from countertop 2"


async def test_the_same_seed_repeats_and_another_differs():
    errant = FollowerSettings(error_rate=0.5)
    talks = [after(opening(*GOOD), *[("look", "Nothing.")] * turns) for turns in range(12)]
    one = [await reply(talk, errant, temperature=0.7, seed=1) for talk in talks]
    same = [await reply(talk, errant, temperature=0.7, seed=1) for talk in talks]
    other = [await reply(talk, errant, temperature=0.7, seed=2) for talk in talks]
    assert one == same
    assert one != other


async def test_at_temperature_zero_the_seed_means_nothing():
    errant = FollowerSettings(error_rate=0.5)
    talks = [after(opening(*GOOD), *[("look", "Nothing.")] * turns) for turns in range(12)]
    assert [await reply(talk, errant, seed=1) for talk in talks] == [
        await reply(talk, errant, seed=2) for talk in talks
    ]


async def test_n_completions_are_n_draws():
    model = PlanFollower(FollowerSettings(error_rate=0.5))
    drawn = await model.complete(opening(*GOOD), Sampling(temperature=0.7, seed=5), n=20)
    assert len(drawn) == 20
    assert len({completion.text for completion in drawn}) > 1


async def test_format_errors_hold_no_action():
    broken = SURE.model_copy(update={"format_error_rate": 1.0})
    assert "Action:" not in await reply(opening(*GOOD), broken)


async def test_a_slip_is_another_action_than_the_one_due():
    errant = SURE.model_copy(update={"error_rate": 1.0})
    drawn = {await action(opening(*GOOD), errant, temperature=0.7, seed=i) for i in range(20)}
    assert drawn - {"go to countertop 1"}


async def test_the_fingerprint_tells_settings_apart():
    assert PlanFollower().fingerprint == PlanFollower(FollowerSettings()).fingerprint
    assert PlanFollower().fingerprint != PlanFollower(SURE).fingerprint


async def test_usage_counts_words():
    (completion,) = await PlanFollower(SURE).complete(opening(*GOOD), Sampling())
    assert completion.usage.prompt_tokens == len(opening(*GOOD)[0]["content"].split())
    assert completion.usage.completion_tokens == len(completion.text.split())


@pytest.mark.parametrize(
    ("step", "verb", "thing", "place"),
    [
        ("Go to the countertop.", "visit", "", "countertop"),
        ("go back to the coffee machine 1", "visit", "", "coffeemachine 1"),
        ("Go to where the CD may be placed.", "search", "cd", ""),
        ("Go to where the desklamp is located.", "search", "desklamp", ""),
        ("Navigate to the location of the mug", "search", "mug", ""),
        ("Find the first apple.", "search", "apple", ""),
        ("Take the CD from where you found it.", "take", "cd", ""),
        ("take another pillow from sidetable", "take", "pillow", "sidetable"),
        ("Once found, pick up the apple", "take", "apple", ""),
        ("put second pillow in/on sofa", "put", "pillow", "sofa"),
        ("Move the newspaper to the sofa", "put", "newspaper", "sofa"),
        ("Place the clean plate on the dining table.", "put", "plate", "diningtable"),
        ("Wash the mug in the sink.", "clean", "mug", "sink"),
        ("Use the microwave to heat the potato", "heat", "potato", "microwave"),
        ("Cool the tomato using the fridge", "cool", "tomato", "fridge"),
        ("Use the desklamp to look at the CD.", "use", "desklamp", ""),
        ("Look at the book under the desk lamp", "use", "desklamp", ""),
        ("If the fridge is closed, open it", "open", "", ""),
        ("Close the drawer.", "close", "", "drawer"),
        ("slice the apple with the knife", "other", "", ""),
    ],
)
def test_a_step_is_read_by_its_words(step, verb, thing, place):
    (intent,) = read_plan(MetaPlan(steps=(step,)))
    assert (intent.verb, intent.object, intent.place) == (verb, thing, place)


def test_a_step_of_two_clauses_gives_two_intents():
    intents = read_plan(MetaPlan(steps=("Go to the fridge and open it.",)))
    assert [intent.verb for intent in intents] == ["visit", "open"]


@pytest.mark.parametrize(
    ("sentence", "goal"),
    [
        ("put a pen in desk.", Goal("pen", target="desk")),
        ("put some pen on desk.", Goal("pen", target="desk")),
        ("put a hot egg in fridge.", Goal("egg", target="fridge", treatment="heat")),
        ("cool some egg and put it in sinkbasin.", Goal("egg", "sinkbasin", "cool")),
        ("put two cd in safe.", Goal("cd", target="safe", count=2)),
        ("find two cd and put them in safe.", Goal("cd", target="safe", count=2)),
        ("examine the cd with the desklamp.", Goal("cd", lamp="desklamp")),
        ("look at cd under the desklamp.", Goal("cd", lamp="desklamp")),
        ("boil the water", None),
    ],
)
def test_the_task_sentences_are_understood(sentence, goal):
    assert read_goal(sentence) == goal


@settings(max_examples=100, deadline=None)
@given(
    steps=st.lists(st.text(min_size=1).filter(str.strip), max_size=4),
    observations=st.lists(st.text(), max_size=4),
    placement=st.sampled_from(Placement),
)
async def test_no_text_breaks_it(steps, observations, placement):
    plan = f"\n\n{INTRO}\n" + "\n".join(f"Step {i}: {step}" for i, step in enumerate(steps, 1))
    talk = [user(TASK + plan * (placement is Placement.INSTRUCTION))]
    for observation in observations:
        said = observation + plan * (placement is Placement.OBSERVATION)
        talk = after(talk, (await action(talk), said))
    if placement is Placement.THOUGHT:
        talk.append(assistant(f"Thought: {plan}\n"))
    assert "Action: " in await reply(talk)


@pytest.fixture(scope="module")
def kitchen():
    """A real game: the mug is on the only countertop, and has to be cleaned."""
    pytest.importorskip("alfworld")
    from metaplan.environments.alfworld.game import LoadedGame
    from metaplan.environments.household.houses import House, Thing
    from metaplan.environments.household.problem import write_game
    from metaplan.environments.household.scenarios import Goal as HouseholdGoal
    from metaplan.environments.household.scenarios import Scenario

    furniture = ("CoffeeMachine", "CounterTop", "Fridge", "SinkBasin")
    furniture += ("Cabinet",) * 5 + ("Drawer",) * 5
    things = (Thing("Mug", 1), Thing("Fork", 1), Thing("Apple", 2), Thing("Plate", 4))
    goal = HouseholdGoal("pick_clean_then_place_in_recep", "Mug", "CoffeeMachine", 0)
    return LoadedGame(write_game(Scenario(House("kitchen", furniture, things), goal), seed=0))


async def success_rate(game, *steps, episodes=6, step_limit=20):
    wins = 0
    for seed in range(episodes):
        environment = game.make()
        messages = opening(*steps, task=environment.reset().text)
        for _ in range(step_limit):
            said = await reply(messages, FollowerSettings(), temperature=0.7, seed=seed)
            chosen = said.partition("\nAction: ")[2]
            result = environment.step(chosen)
            messages = [*messages, assistant(said), user(f"Observation: {result.observation}")]
            if result.success:
                wins += 1
                break
        environment.close()
    return wins / episodes


async def test_in_a_real_game_a_good_plan_helps_and_a_bad_one_hurts(kitchen):
    good = await success_rate(kitchen, *GOOD)
    alone = await success_rate(kitchen)
    without_cleaning = await success_rate(kitchen, *GOOD[:2], *GOOD[4:])
    misleading = [step.replace("countertop", "cabinet") for step in GOOD]
    misled = await success_rate(kitchen, *misleading)
    assert good > 0.8
    assert good > alone
    assert good > misled
    assert without_cleaning == 0
