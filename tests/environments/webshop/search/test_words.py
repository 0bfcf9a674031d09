"""Words as Lucene's English analysis has them; what is expected was recorded from Lucene 8.11."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metaplan.environments.webshop.search.porter import stem
from metaplan.environments.webshop.search.words import split, term


def analysed(text: str) -> list[str]:
    return [found for word in split(text) if (found := term(word)) is not None]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Men's dress-shoes can't", "men dress shoe can't"),
        ("3.5 1,000 foo.bar U.S.A.", "3.5 1,000 foo.bar u.s.a"),
        ("l'eau d'issey's the ability", "l'eau d'issei abil"),
        ("communism logically us as analogy", "commun logic us analog"),
        ("日本語 テスト wi-fi 64gb (2pcs) _x_", "日 本 語 テスト wi fi 64gb 2pc _x_"),
        ("___ - !", ""),
    ],
)
def test_a_text_is_analysed_as_by_lucene(text, words):
    assert analysed(text) == words.split()


# Where Snowball's stemmer of the same name differs.
@pytest.mark.parametrize(
    ("word", "stemmed"),
    [
        ("us", "us"),
        ("5s", "5s"),
        ("assembly", "assembl"),
        ("possibly", "possibl"),
        ("technologies", "technolog"),
        ("trekking", "trek"),
    ],
)
def test_stems_follow_porters_own_code(word, stemmed):
    assert stem(word) == stemmed


def test_a_word_too_long_for_lucene_becomes_several():
    assert [len(word) for word in split("x" * 600)] == [255, 255, 90]


@given(st.text())
def test_the_words_of_any_text_stand_in_it_in_order(text):
    at = 0
    for word in split(text):
        at = text.index(word, at) + len(word)
        assert term(word) != ""
