from hypothesis import given
from hypothesis import strategies as st

from metaplan.collection import conversation_text


def test_turns_read_as_the_agents_own(trajectory):
    told = conversation_text(trajectory("t/1", "go to {desk} 1", "look", thought="I look."))
    assert told == (
        "Thought: I look.\nAction: go to {desk} 1\nObservation: Done.\n\n"
        "Thought: I look.\nAction: look\nObservation: Done."
    )


def test_a_step_without_a_thought_begins_with_its_action(trajectory):
    assert conversation_text(trajectory("t/1", "look")) == "Action: look\nObservation: Done."


@given(st.text(), st.integers(0, 30))
def test_only_observations_are_cut_and_never_grow_by_more_than_the_mark(trajectory, text, longest):
    told = conversation_text(trajectory("t/1", "look " * 50, observation=text), longest)
    shown = told.partition("\nObservation: ")[2]
    assert told.startswith("Action: " + "look " * 50)
    assert shown == (text if len(text) <= longest else text[:longest] + "…")
