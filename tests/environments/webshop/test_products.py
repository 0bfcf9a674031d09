import pytest

from metaplan.core import DataError
from metaplan.environments.webshop.products import (
    Product,
    index_text,
    is_listed,
    read_product,
)


def entry(**fields):
    plain = {
        "asin": "B0001",
        "name": "Acme Kettle",
        "full_description": "Boils Water.",
        "pricing": "$20.00",
        "small_description": ["Steel.", "Safe."],
        "customization_options": {
            "Color": [{"value": " Red/Blue ", "image": None}, {"value": "GREEN"}],
            "Size": None,
        },
        "category": "garden",
        "query": " Kettles ",
        "product_category": "Home › Kettles",
    }
    return {**plain, **fields}


@pytest.mark.parametrize(
    ("text", "pricing", "tag"),
    [
        ("$877.8", (877.8,), "$877.8"),
        ("$1,299.00", (1299.0,), "$1299.0"),
        ("$19.99 - $27.99", (19.99, 27.99), "$19.99 to $27.99"),
        ("$1.00$2.00$3.00", (1.0, 2.0), "$1.0 to $2.0"),
        ("", (100.0,), "$100.0"),
        (None, (100.0,), "$100.0"),
        ("on request", (100.0,), "$100.0"),
        ("$ ", (100.0,), "$100.0"),
    ],
)
def test_prices_are_read_as_officially(text, pricing, tag):
    product = read_product(entry(pricing=text), [])
    assert (product.pricing, product.price_tag) == (pricing, tag)


def test_a_price_in_a_range_is_the_same_whenever_it_is_asked_for():
    first, second = (read_product(entry(pricing="$10.00 - $20.00"), []) for _ in range(2))
    other = read_product(entry(pricing="$10.00 - $20.00", asin="B0002"), [])
    assert first.price == second.price != other.price
    assert 10.0 <= first.price <= 20.0


def test_options_are_lower_case_and_a_slash_is_a_bar():
    product = read_product(entry(), None)
    assert product.options == {"color": ("red | blue", "green")}
    assert product.query == "kettles"
    assert product.attributes == ("DUMMY_ATTR",)


def test_one_feature_may_be_a_text():
    assert read_product(entry(small_description="Steel."), []).bullets == ("Steel.",)


def test_what_is_searched_is_title_description_first_feature_and_options():
    text = index_text(read_product(entry(), []))
    assert text == "acme kettle boils water. steel. color: red | blue, green"


@pytest.mark.parametrize(("asin", "listed"), [("B0001", True), ("nan", False), ("B" * 11, False)])
def test_identifiers_that_are_none_are_left_out(asin, listed):
    assert is_listed({"asin": asin}) is listed


def test_a_product_survives_json():
    product = read_product(entry(), ["steel"])
    assert Product.from_data(product.as_data()) == product


@pytest.mark.parametrize(
    "broken", [{"name": None, "query": None}, {"customization_options": {"a": [3]}}]
)
def test_a_malformed_product_is_named(broken):
    with pytest.raises(DataError, match=r"B0001.*items_shuffle"):
        read_product(entry(**broken), [])
