"""The shop's pages for people: what is shown, what pressing does, and that texts stay texts."""

import re
from html import unescape

import pytest

from metaplan.core import MissingDependencyError
from metaplan.environments.webshop.environment import LoadedGoal
from metaplan.environments.webshop.pages import Role
from metaplan.environments.webshop.website.visit import Visit

HOSTILE = "<script>alert('x')</script> {{ 7 * 7 }} & \"quoted\""


@pytest.fixture
def visit(make_product, make_shelf, goal) -> Visit:
    """A visit to a shop of twelve products, the second of them with hostile texts."""
    products = [make_product(number) for number in range(12)]
    options = {"color": ("red", 'a "b" [c]'), "<b>": ("1",)}
    products[1] = make_product(1, title=HOSTILE, options=options)
    return Visit(LoadedGoal(make_shelf(products), goal), step_limit=6)


@pytest.fixture
def browser(visit):
    """Asks the site as a browser without scripts does."""
    testing = pytest.importorskip("fastapi.testclient")
    from metaplan.environments.webshop.website.site import create_site

    with testing.TestClient(create_site(visit), base_url="http://127.0.0.1") as client:
        yield client


def press(browser, action: str, **fields: str) -> str:
    answer = browser.post("/act", data={"action": action, **fields})
    assert answer.status_code == 200
    return answer.text


def buttons(html: str) -> list[str]:
    """The actions of a page's buttons."""
    return [unescape(value) for value in re.findall(r'name="action" value="([^"]*)"', html)]


def test_every_visible_element_of_the_page_is_shown_in_order(browser, visit):
    press(browser, "search", keywords="red kettle")
    html = press(browser, "click[B000000001]")
    at = 0
    for element in visit.page.elements:
        if element.role is not Role.HIDDEN:
            at = unescape(html).index(element.text.strip(), at)
    assert [unescape(action) for action in buttons(html)] == [
        f"click[{element.text}]" for element in visit.page.elements
        if element.role in {Role.BUTTON, Role.LINK, Role.OPTION}
    ]  # fmt: skip


def test_texts_of_products_stay_texts(browser):
    html = press(browser, "search", keywords=HOSTILE)
    assert "<script" not in html
    assert "49" not in html
    assert HOSTILE in unescape(html)
    assert "default-src 'none'" in browser.get("/").headers["content-security-policy"]


def test_a_person_buys_by_the_rules_of_an_agent(browser, visit):
    assert "Step 0 of 6" in browser.get("/").text
    press(browser, "search", keywords="red kettle")
    html = press(browser, "click[Next >]")
    assert "Page 2 (Total results: 12)" in html
    html = press(browser, "click[B000000010]")
    html = press(browser, "click[red]")
    assert re.search(r'value="click\[red\]" aria-pressed="true"', html)
    html = press(browser, "click[Buy Now]")
    assert visit.last.terminated
    assert f"The visit is over: reward {visit.last.reward:.2f}." in html
    assert all(str(name) in html for name in visit.last.info)
    assert visit.last.reward > 0


def test_a_value_with_quotes_and_brackets_can_be_pressed(browser, visit):
    press(browser, "search", keywords="red kettle")
    html = press(browser, "click[B000000001]")
    (action,) = (action for action in buttons(html) if "[c]" in action)
    press(browser, action)
    assert visit.last.valid
    assert visit.page.clickable['a "b" [c]'].chosen


@pytest.mark.parametrize("action", ["", "click[nowhere]", "click[Buy Now]", "search[]", "\x00"])
def test_what_is_not_possible_changes_nothing_and_says_so(browser, visit, action):
    before = visit.page
    assert "That is not possible on this page" in press(browser, action)
    assert visit.page == before
    assert visit.steps == 1


def test_after_the_last_step_nothing_can_be_pressed_but_a_new_visit(browser, visit):
    for _ in range(8):
        html = press(browser, "search", keywords="red kettle")
    assert visit.steps == 6
    assert "The visit is over: reward 0.00." in html
    assert html.count("disabled") == len(buttons(html))
    html = browser.post("/again").text
    assert "Step 0 of 6" in html
    assert "disabled" not in html


def test_requests_by_another_site_s_name_are_refused(browser):
    assert browser.get("/", headers={"host": "evil.example"}).status_code == 400


def test_without_the_packages_the_extra_is_named(visit, goal, make_shelf, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "uvicorn", None)
    from metaplan.environments.webshop.website import serve

    with pytest.raises(MissingDependencyError, match=r"metaplan\[webshop\]"):
        serve(LoadedGoal(make_shelf([]), goal), 10, 0, print)
