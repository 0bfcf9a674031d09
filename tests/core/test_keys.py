import pytest
from hypothesis import given
from hypothesis import strategies as st

from metaplan.core import digest, episode_key, fill, seed_from

EPISODE = {
    "round": 0,
    "task_key": "household/train/00001",
    "environment": "e",
    "plan_key": "p",
    "placement": "instruction",
    "agent": "a",
    "repetition": 0,
}
SCALARS = st.none() | st.booleans() | st.integers() | st.text(max_size=5)
JSON = SCALARS | st.lists(SCALARS, max_size=3)


def test_digests_never_change():
    """Stored runs are found by these: they are for ever."""
    assert digest("meta plan", 5, None, {"b": 1, "a": [True]}) == "09a4715292bf742a"
    assert episode_key(**EPISODE) == "e956e831abf2678c"
    assert seed_from("meta plan") == 282493110


@pytest.mark.parametrize("field", EPISODE)
def test_every_field_shapes_an_episodes_key(field):
    other = {**EPISODE, field: 7 if isinstance(EPISODE[field], int) else "other"}
    assert episode_key(**other) != episode_key(**EPISODE)


def test_an_episode_without_a_plan_has_a_key_of_its_own():
    without = {**EPISODE, "plan_key": None, "placement": None}
    assert episode_key(**without) != episode_key(**EPISODE)


@given(st.dictionaries(st.text(max_size=5), JSON, max_size=5))
def test_the_order_of_a_dictionary_does_not_matter(value):
    assert digest(value) == digest(dict(reversed(value.items())))


@given(st.lists(st.text(min_size=1, max_size=5), min_size=2, max_size=4))
def test_parts_do_not_run_together(parts):
    assert digest(*parts) != digest("".join(parts))


@given(JSON)
def test_seeds_fit_31_bits(value):
    assert 0 <= seed_from(value) < 2**31


@given(st.text(max_size=20), st.text(max_size=20))
def test_values_are_filled_in_once(first, second):
    text = "{a}" + first
    assert fill("<{a}|{b}>", a=text, b=second) == f"<{text}|{second}>"


def test_braces_in_the_template_stay_where_there_is_no_value():
    assert fill('{"{tag}": {}} {other} {{tag}}', tag="x") == '{"x": {}} {other} {x}'


def test_a_value_without_a_slot_is_an_error():
    with pytest.raises(KeyError, match="no slot for \\['plan'\\]"):
        fill("{task}", task="t", plan="p")
