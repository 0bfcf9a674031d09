"""What a person takes from a plan."""

from metaplan.core import MetaPlan
from metaplan.environments.alfworld.hints import read_hints

ROOM = {"shelf", "drawer", "desk", "sinkbasin", "fridge"}


def places(*steps: str) -> list[tuple[str, ...]]:
    return [hint.places for hint in read_hints(MetaPlan(steps=steps), ROOM)]


def test_places_are_named_in_the_plans_order_until_the_thing_is_taken() -> None:
    assert places("Go to the shelf.", "Go to the drawer.", "Take the mug from the drawer.") == [
        ("shelf", "drawer")
    ]


def test_a_walk_that_ends_in_a_deed_is_no_search() -> None:
    found = read_hints(
        MetaPlan(
            steps=(
                "Go to the desk.",
                "Take the first mug from the desk.",
                "Go to the shelf.",
                "Put the first mug in/on the shelf.",
                "Go to the drawer.",
                "Take the second mug from the drawer.",
            )
        ),
        ROOM,
    )
    assert [hint.places for hint in found] == [("desk",), ("drawer",)]
    assert all("mug" in hint.words for hint in found)


def test_a_plan_in_free_words_is_understood() -> None:
    assert places("Look through the drawers, then on the desk.", "Pick up the mug.") == [
        ("drawer", "desk")
    ]


def test_places_that_the_room_lacks_and_no_place_at_all_are_no_hint() -> None:
    assert places("Go to the safe.", "Take the mug from the safe.") == [()]
    assert places("Go to where the mug may be located.", "Take the mug.") == [()]


def test_what_a_lamp_is_used_for_is_not_what_is_searched_there() -> None:
    plan = MetaPlan(
        steps=(
            "Go to the desk.",
            "Take the mug from the desk.",
            "Go to the shelf.",
            "Use the desklamp to look at the mug.",
        )
    )
    mug, lamp = read_hints(plan, ROOM)
    assert "mug" in mug.words
    assert "desklamp" in lamp.words
    assert "mug" not in lamp.words
