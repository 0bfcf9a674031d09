import pytest
from hypothesis import given
from hypothesis import strategies as st

from metaplan.environments.webshop.pages import PageKind, rich_text, text
from metaplan.environments.webshop.session import Session, read_action

TOP = "Instruction: [SEP] i need a red kettle, and price lower than 30.00 dollars [SEP] "
TOP += "Back to Search [SEP] "


@pytest.fixture
def visit(make_product, make_shelf, goal):
    """Starts a visit to a shop with that many products."""

    def start(products=23):
        return Session(make_shelf([make_product(number) for number in range(products)]), goal)

    return start


def do(session, *actions):
    """Does actions, all of which are possible; the last page as text."""
    for action in actions:
        assert session.act(action), action
    return text(session.page)


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        ("search[red kettle]", ("search", "red kettle")),
        ("Search[Red Kettle]", ("search", "red kettle")),
        (" search [ red   kettle ] ", ("search", "red kettle")),
        ("click[Buy Now]", ("click", "buy now")),
        ("click[size [2] (pack)]", ("click", "size [2] (pack)")),
        ("click[< Prev]. Then I buy [it].", ("click", "< prev")),
        ("click[4 [oz]", ("click", "4 [oz")),
        ("search[a\nb]", ("search", "a b")),
        ("click[]", None),
        ("click[ ]", None),
        ("click[Buy Now", None),
        ("click Buy Now", None),
        ("buy[it]", None),
        ("I click[Buy Now]", None),
        ("", None),
    ],
)
def test_actions_as_agents_write_them(action, expected):
    assert read_action(action) == expected


@given(st.text())
def test_any_text_is_read_or_refused(action):
    assert read_action(action) is None or read_action(action)[1]


@given(st.sampled_from(["search", "click"]), st.text("ab [](),|'\"5", min_size=1))
def test_a_value_with_balanced_brackets_is_read_whole(name, value):
    depth, lowest = 0, 0
    for sign in value:
        depth += (sign == "[") - (sign == "]")
        lowest = min(lowest, depth)
    if value.strip() and depth == 0 == lowest:
        assert read_action(f"{name}[{value}]") == (name, " ".join(value.split()))


def test_a_visit_begins_with_the_search_page(visit):
    assert text(visit().page) == (
        "WebShop [SEP] Instruction: [SEP] i need a red kettle, and price lower than 30.00 dollars "
        "[SEP] Search"
    )


def test_results_are_shown_ten_a_page(visit):
    session = visit(23)
    first = do(session, "search[kettle]")
    assert first.startswith(
        f"{TOP}Page 1 (Total results: 23) [SEP] Next > [SEP] B000000000 [SEP] Acme Kettle 0, Red "
        "[SEP] $20.0 [SEP] B000000001 [SEP] "
    )
    second = do(session, "click[Next >]")
    assert f"{TOP}Page 2 (Total results: 23) [SEP] < Prev [SEP] Next > [SEP] B000000010" in second
    third = do(session, "click[next >]")
    assert f"{TOP}Page 3 (Total results: 23) [SEP] < Prev [SEP] B000000020" in third
    assert "B000000023" not in third
    assert not session.act("click[Next >]")
    assert do(session, "click[< Prev]", "click[< Prev]") == first
    assert not session.act("click[< Prev]")


@pytest.mark.parametrize(
    ("products", "pages"), [(1, 1), (9, 1), (10, 1), (11, 2), (20, 2), (50, 5), (61, 5)]
)
def test_pages_end_where_the_products_end(visit, products, pages):
    session = visit(products)
    do(session, "search[kettle]")
    turned = 1
    while session.act("click[Next >]"):
        turned += 1
    assert turned == pages


def test_a_search_that_finds_nothing(visit):
    session = visit()
    assert do(session, "search[nothing]") == f"{TOP}Page 1 (Total results: 0)"


def test_an_item_with_its_options(visit):
    page = do(visit(), "search[kettle]", "click[b000000003]")
    assert page == (
        f"{TOP}< Prev [SEP] color [SEP] red [SEP] dark blue [SEP] size [SEP] 1 liter [SEP] 2 liter "
        "[SEP] Acme Kettle 3, Red [SEP] Price: $20.0 [SEP] Rating: N.A. [SEP] Description [SEP] "
        "Features [SEP] Reviews [SEP] Buy Now"
    )


@pytest.mark.parametrize(
    ("button", "content"),
    [
        ("Description", "Boils water."),
        ("features", "Stainless steel body. [SEP] Easy to clean."),
        ("Reviews", "No reviews found"),
    ],
)
def test_sub_pages_lead_back_to_the_item_with_its_options_chosen(visit, button, content):
    session = visit()
    item = do(session, "search[kettle]", "click[B000000003]", "click[Dark Blue]")
    assert do(session, f"click[{button}]") == f"{TOP}< Prev [SEP] {content}"
    assert do(session, "click[< Prev]") == item
    assert session.chosen == {"color": "dark blue"}


def test_a_later_choice_replaces_an_earlier_one_of_the_same_option(visit):
    session = visit()
    do(session, "search[x]", "click[B000000003]", "click[dark blue]", "click[2 liter]")
    do(session, "click[red]")
    assert session.chosen == {"color": "red", "size": "2 liter"}


@pytest.mark.parametrize(
    "way", [["click[< Prev]"], ["search[y]"], ["click[Back to Search]", "search[y]"]]
)
def test_leaving_an_item_forgets_its_options(visit, way):
    session = visit()
    do(session, "search[x]", "click[B000000003]", "click[red]", *way, "click[B000000004]")
    assert session.chosen == {}


def test_from_an_item_one_comes_back_to_the_same_page_of_results(visit):
    session = visit()
    second = do(session, "search[x]", "click[Next >]")
    assert do(session, "click[B000000012]", "click[< Prev]") == second


def test_a_search_is_possible_from_every_page(visit):
    session = visit()
    do(session, "search[x]", "click[B000000003]", "click[Features]")
    assert "Page 1" in do(session, "search[kettle]")


def test_buying_the_right_thing(visit):
    session = visit()
    page = do(
        session, "search[x]", "click[B000000000]", "click[red]", "click[1 liter]", "click[Buy Now]"
    )
    assert session.reward.total == 1.0
    assert session.page.kind is PageKind.DONE
    assert page == (  # as recorded from the official text environment
        "Thank you for shopping with us! [SEP] Your code: [SEP] None [SEP] (Paste it in your MTurk "
        "interface.) [SEP] Purchased [SEP] asin [SEP] B000000000 [SEP] options [SEP] "
        '{"color": "red", "size": "1 liter"} [SEP] attrs [SEP] None [SEP] category [SEP] None '
        "[SEP] query [SEP] None [SEP] product category [SEP] None [SEP] Target [SEP] asin [SEP] "
        "options [SEP] attrs [SEP] price upper [SEP] instuction text [SEP] category [SEP] product "
        "category [SEP] query [SEP] Goal [SEP] None [SEP] Reward [SEP] Your score (min 0.0, max "
        "1.0) [SEP] 1.0 [SEP] Reward Details [SEP] None"
    )
    assert not session.act("search[more]")


NONSENSE = [
    "click[Search]",
    "click[B999999999]",
    "click[Buy Now]",
    "click[red]",
    "hello",
    "search[]",
]


@pytest.mark.parametrize("action", NONSENSE)
def test_what_is_not_on_the_page_changes_nothing(visit, action):
    session = visit()
    before = session.page
    assert not session.act(action)
    assert session.page is before


@given(data=st.data())
def test_any_way_through_the_shop_can_be_gone_again(data, make_product, make_shelf, goal):
    """A visit is determined by its actions, and what is on the page can be clicked."""
    products = [make_product(number) for number in range(12)]
    first, again = (Session(make_shelf(products), goal) for _ in range(2))
    for _ in range(data.draw(st.integers(0, 12))):
        buttons = [f"click[{value}]" for value in first.page.clickable]
        action = data.draw(st.sampled_from(["search[kettle]", *NONSENSE[-2:], *buttons]))
        ended = first.reward is not None
        possible = first.act(action)
        assert possible == again.act(action)
        assert possible == (not ended and action not in NONSENSE[-2:])
        assert first.page == again.page
        assert first.reward == again.reward
    assert text(first.page) == text(again.page)


def test_rich_text_marks_buttons_and_what_was_clicked(visit):
    session = visit()
    do(session, "search[x]", "click[B000000003]", "click[dark blue]")
    assert rich_text(session.page) == (
        "You have clicked dark blue.\nInstruction:\n"
        "i need a red kettle, and price lower than 30.00 dollars\n"
        "[button] Back to Search [button_]\n[button] < Prev [button_]\ncolor\n"
        "  [button] red [button_]\n  [clicked button] dark blue [clicked button_]\nsize\n"
        "  [button] 1 liter [button_]\n  [button] 2 liter [button_]\nAcme Kettle 3, Red\n"
        "Price: $20.0\nRating: N.A.\n[button] Description [button_]\n[button] Features [button_]\n"
        "[button] Reviews [button_]\n[button] Buy Now [button_]\n"
    )
    session.act("click[< Prev]")
    assert "\n[clicked button] B000000003 [clicked button_]\n" in rich_text(session.page)
    do(session, "click[Back to Search]", "search[x]")
    assert "clicked" not in rich_text(session.page)


def test_an_option_counts_before_a_button_of_the_same_text(make_product, make_shelf, goal):
    product = make_product(0, options={"page": ("features", "reviews")})
    session = Session(make_shelf([product]), goal)
    do(session, "search[x]", "click[B000000000]", "click[Features]")
    assert session.chosen == {"page": "features"}
