from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metaplan.environments.webshop.goals import Goal
from metaplan.environments.webshop.nouns import RuleTagger, SpacyTagger
from metaplan.environments.webshop.products import Product
from metaplan.environments.webshop.reward import compare_types, reward_of

WORDS = ["red kettle", "blue pan", "stainless steel", "easy clean", "soft", "16 oz", "king size"]
PHRASES = st.sampled_from(WORDS)
TAGGER = RuleTagger()


def product(**fields):
    plain = {
        "asin": "B1", "title": "Acme Kettle", "description": "", "bullets": (), "pricing": (20.0,),
        "options": {}, "attributes": (), "category": "garden", "query": "kettles",
        "product_category": "Home › Kitchen › Kettles",
    }  # fmt: skip
    return Product(**{**plain, **fields})


products = st.builds(
    product,
    title=st.lists(PHRASES, max_size=3).map(" ".join),
    description=PHRASES,
    bullets=st.lists(PHRASES, max_size=2).map(tuple),
    pricing=st.floats(1, 900).map(lambda price: (price,)),
    attributes=st.lists(PHRASES, max_size=3).map(tuple),
    query=st.sampled_from(["kettles", "pans"]),
    product_category=st.sampled_from(["Home › Kitchen › Kettles", "Beauty › Hair"]),
)
goals = st.builds(
    Goal,
    id=st.just("g"),
    asin=st.just("B1"),
    instruction=st.just("buy it"),
    attributes=st.lists(PHRASES, min_size=1, max_size=4).map(tuple),
    options=st.lists(PHRASES, max_size=4).map(tuple),
    price_cap=st.floats(1, 990),
    category=st.just("garden"),
)
chosen = st.lists(PHRASES, max_size=4)


@given(products, products, goals, chosen)
def test_a_reward_is_in_0_to_1_and_is_its_parts(bought, wanted, goal, values):
    reward = reward_of(bought, values, goal, wanted, TAGGER)
    assert 0.0 <= reward.total <= 1.0
    parts = reward.attributes + reward.options + reward.price_ok
    most = reward.attributes_wanted + reward.options_wanted + 1
    assert reward.total == reward.type.factor * (parts / most)
    assert (reward.total == 1.0) == (reward.type.factor == 1.0 and parts == most)


@given(products, products, goals, chosen, st.randoms(use_true_random=False))
def test_the_order_of_options_attributes_and_features_does_not_matter(
    bought, wanted, goal, values, chance
):
    def shuffled(items):
        return tuple(chance.sample(items, len(items)))

    other_goal = replace(goal, attributes=shuffled(goal.attributes), options=shuffled(goal.options))
    other = replace(bought, attributes=shuffled(bought.attributes))
    assert reward_of(bought, values, goal, wanted, TAGGER) == reward_of(
        other, shuffled(values), other_goal, wanted, TAGGER
    )


@given(products, products, goals, chosen)
def test_whatever_matches_more_is_worth_no_less(bought, wanted, goal, values):
    before = reward_of(bought, values, goal, wanted, TAGGER).total
    for option in goal.options:
        assert reward_of(bought, [*values, option], goal, wanted, TAGGER).total >= before
    for attribute in goal.attributes:
        better = replace(bought, attributes=(*bought.attributes, attribute))
        assert reward_of(better, values, goal, wanted, TAGGER).total >= before
    cheaper = replace(bought, pricing=(min(goal.price_cap, bought.price),))
    assert reward_of(cheaper, values, goal, wanted, TAGGER).total >= before


def test_the_wanted_product_with_the_wanted_options_is_worth_1(make_product, goal):
    wanted = make_product(0)
    reward = reward_of(wanted, ["1 liter", "red"], goal, wanted, TAGGER)
    assert (reward.total, reward.attributes, reward.options, reward.price_ok) == (1.0, 2, 2, True)


def test_half_the_options_and_too_high_a_price(make_product, goal):
    dear = make_product(0, pricing=(31.0,))
    reward = reward_of(dear, ["red"], goal, dear, TAGGER)
    assert (reward.options, reward.price_ok, reward.total) == (1, False, 3 / 5)


def test_any_blue_counts_as_blue_but_not_any_size(make_product, goal):
    wanted = make_product(0)
    blue = replace(goal, options=("light blue", "2 liter"))
    assert reward_of(wanted, ["dark blue", "1 pint"], blue, wanted, TAGGER).options == 1


@pytest.mark.parametrize("where", ["title", "description", "bullets"])
def test_an_attribute_may_stand_in_any_text(make_product, goal, where):
    value = ("With Auto Shutoff.",) if where == "bullets" else "With Auto Shutoff."
    bought = make_product(0, attributes=(), **{where: value})
    found = reward_of(bought, [], replace(goal, attributes=("auto shutoff",)), bought, TAGGER)
    assert found.attributes == 1


@pytest.mark.parametrize(
    ("title", "query", "path", "factor"),
    [
        ("Acme Kettle", "kettles", "Elsewhere", 1.0),  # the search
        ("Acme Kettle", "other", "Home › Kitchen › Kettles", 1.0),  # the path
        ("Acme Kettle", "other", "Elsewhere", 1.0),  # more than a fifth of the nouns
        ("Kettle", "other", "Elsewhere", 0.5),
        ("Lamp", "kettles", "Elsewhere", 0.0),  # no noun at all, whatever else
    ],
)
def test_types(title, query, path, factor):
    wanted = product(title="Acme Kettle Pot Boiler Jug Pan")
    bought = product(title=title, query=query, product_category=path)
    assert compare_types(bought, wanted, TAGGER).factor == factor


def test_fewer_than_a_tenth_of_the_nouns_is_another_type():
    wanted = product(title="Acme Kettle Pot Boiler Jug Pan Lid Spout Handle Base Cord Plug")
    assert compare_types(product(title="Cord"), wanted, TAGGER).factor == 0.1


def test_a_title_without_nouns_says_nothing():
    wanted = product(title="The Very Best", query="other", product_category="Elsewhere")
    found = compare_types(product(title="Kettle"), wanted, TAGGER)
    assert (found.title_score, found.factor) == (0.2, 0.5)


def test_rules_leave_out_function_words_adjectives_and_numbers():
    title = "Lightweight 3-Pack Kettle's Lid for the C340, 16oz & Truly Durable"
    assert TAGGER.nouns(title) == ("pack", "kettle", "lid", "c340")


def test_spacy_gives_its_nouns_and_names():
    class Token:
        def __init__(self, text, pos):
            self.text, self.pos_ = text, pos

    class Model:
        meta = {"lang": "en", "name": "core_web_sm", "version": "3.8.0"}  # noqa: RUF012

        def __call__(self, title):
            return [Token("Acme", "PROPN"), Token("red", "ADJ"), Token("Kettle", "NOUN")]

    tagger = SpacyTagger(Model())
    assert tagger.nouns("Acme red Kettle") == ("acme", "kettle")
    assert tagger.name == "spacy-en_core_web_sm-3.8.0"
