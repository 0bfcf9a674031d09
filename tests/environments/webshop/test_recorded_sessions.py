"""What people did in the official shop, as format fixtures: nine recorded sessions.

Their products are outside the 1,000, so a shop is made of what a session shows, and its walk is
gone again through ours.
"""

import json
from itertools import pairwise
from urllib.parse import unquote

import pytest

from metaplan.environments.webshop.files import SHOPS, find
from metaplan.environments.webshop.goals import Goal
from metaplan.environments.webshop.nouns import RuleTagger
from metaplan.environments.webshop.pages import PageKind
from metaplan.environments.webshop.session import Session

pytestmark = [pytest.mark.data, pytest.mark.usefixtures("sample")]


def sessions():
    folder = find(SHOPS["1000"].products).parent / "all_trajs"
    for path in sorted(folder.glob("*.jsonl")):
        yield [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def goal_in(logged):
    return Goal(
        id="human",
        asin=logged["asin"],
        instruction=logged["instruction_text"],
        attributes=tuple(logged["attributes"]),
        options=tuple(logged["goal_options"]),
        price_cap=logged["price_upper"],
        category=logged["category"],
    )


class RecordedStock:
    """Searches find what they found then; products have the options that were chosen then."""

    tagger = RuleTagger()

    def __init__(self, log, make_product):
        self._results: dict[str, list[str]] = {}
        chosen: dict[str, dict[str, str]] = {}
        for entry in log:
            content = entry.get("content", {})
            if entry["page"] == "search_results":
                found = self._results.setdefault(" ".join(content["keywords"]), [])
                found += [asin for asin in content["search_result_asins"] if asin not in found]
            if "options" in content:
                chosen.setdefault(content["asin"], {}).update(content["options"])
        self._products = {
            asin: make_product(
                0,
                asin=asin,
                options={name: (value,) for name, value in chosen.get(asin, {}).items()},
            )
            for found in (*self._results.values(), [log[0]["goal"]["asin"]])
            for asin in found
        }

    def product(self, asin):
        return self._products[asin]

    def search(self, query, limit):
        return [self._products[asin] for asin in self._results[query]][:limit]


def action_to(session, before, entry):
    """What leads from one logged page to the next, as an agent writes it."""
    content = entry.get("content", {})
    was = before.get("content", {})
    match before["page"], entry["page"]:
        case _, "index":
            again = session.page.kind is PageKind.SEARCH
            action = None if again else "click[Back to Search]"
        case ("item_page", "search_results") | ("item_sub_page", "item_page"):
            action = "click[< Prev]"
        case "search_results", "search_results":
            action = "click[Next >]" if content["page"] > was["page"] else "click[< Prev]"
        case _, "search_results":
            action = f"search[{' '.join(content['keywords'])}]"
        case "item_page", "item_page":
            new = [
                value for name, value in content["options"].items() if name not in was["options"]
            ]
            action = f"click[{new[0].upper()}]" if new else None
        case _, "item_page":
            action = f"click[{content['asin'].lower()}]"
        case _, "item_sub_page":
            action = f"click[{unquote(entry['url']).rsplit('/', 2)[1]}]"
        case _, "done":
            action = "click[Buy Now]"
    return action


def test_every_recorded_walk_can_be_gone(make_product):
    count = 0
    for log in sessions():
        goal = goal_in(log[0]["goal"])
        session = Session(RecordedStock(log, make_product), goal)
        for before, entry in pairwise(log):
            action = action_to(session, before, entry)
            assert action is None or session.act(action), (action, entry["url"])
            assert session.page.kind == entry["page"]
            if "options" in entry.get("content", {}):
                assert session.chosen == entry["content"]["options"]
            if entry["page"] == "search_results":
                links = [e.text for e in session.page.elements if e.role == "link"]
                assert links == entry["content"]["search_result_asins"]
        assert session.reward is not None
        recorded = log[-1]["reward_info"]
        assert session.reward.options_wanted == len(log[0]["goal"]["goal_options"])
        if "r_option" in recorded:
            assert session.reward.options == recorded["r_option"] * session.reward.options_wanted
        count += 1
    assert count == 9
