import pytest
from hypothesis import given
from hypothesis import strategies as st

from metaplan.environments.webshop.matching import alike, colour_of, token_set_ratio

PHRASES = st.text(alphabet="abcdé- 3&", max_size=24)


@pytest.mark.parametrize(
    ("one", "other", "expected"),  # what thefuzz 0.19 says, over difflib
    [
        ("machine washable", "machine wash", 86),
        ("easy clean", "easy to clean", 100),
        ("Gluten-Free", "gluten free", 100),
        ("hair growth", "hair loss", 62),
        ("café", "caf", 100),
        ("10.5", "10", 100),
        ("", "red", 0),
        ("…", "red", 0),
        ("x-large", "xx-large", 93),
    ],
)
def test_ratios_are_those_of_thefuzz(one, other, expected):
    assert token_set_ratio(one, other) == expected


def test_alike_begins_above_85():
    assert alike("machine washable", "machine wash")
    assert not alike("hair growth", "hair loss")


@given(PHRASES, PHRASES)
def test_a_ratio_is_a_percentage(one, other):
    assert 0 <= token_set_ratio(one, other) <= 100


@given(st.lists(st.sampled_from(["red", "blue", "soft", "16", "oz"]), min_size=1, unique=True))
def test_the_order_of_words_does_not_matter(words):
    assert token_set_ratio(" ".join(words), " ".join(reversed(words))) == 100


@given(PHRASES, PHRASES)
def test_all_words_of_one_in_the_other_is_100(one, more):
    if any(letter.isalnum() and ord(letter) < 128 for letter in one):
        assert token_set_ratio(one, f"{one} {more}") == 100


@pytest.mark.parametrize(
    ("value", "colour"),
    [("dark blue", "blue"), ("black1901", "black"), ("tangerine", "tan"), ("size 8", "size 8")],
)
def test_the_first_colour_of_the_alphabet_stands_for_a_value(value, colour):
    assert colour_of(value) == colour
