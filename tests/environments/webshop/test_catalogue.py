import json
import signal
import subprocess
import sys
import time

import pytest

from metaplan.core import DataError
from metaplan.environments.webshop.catalogue import Catalogue, Stocked, store
from metaplan.environments.webshop.files import Entries
from metaplan.environments.webshop.products import index_text


def stock(make_product, count):
    return (Stocked(make_product(number), ()) for number in range(count))


@pytest.fixture
def catalogue(tmp_path, make_product, goal):
    products = [make_product(number, title=f"Kettle é {number}") for number in (3, 1, 2)]
    items = [Stocked(products[0], (goal,)), *(Stocked(product, ()) for product in products[1:])]
    store(tmp_path / "shop", items, lambda: {"products": "abc"})
    return Catalogue(tmp_path / "shop"), products, goal


def test_products_come_back_in_their_order_and_by_identifier(catalogue):
    found, products, goal = catalogue
    assert list(found) == products
    assert found[-1] == products[2]
    assert found[0:2] == products[:2]
    assert [found.product(product.asin) for product in products] == products
    assert found.goals == (goal,)
    assert found.facts == {"products": "abc"}


def test_documents_are_what_is_searched(catalogue):
    found, products, _ = catalogue
    assert list(found.documents) == [index_text(product) for product in products]
    assert found.documents[1:] == [index_text(product) for product in products[1:]]


@pytest.mark.parametrize("asin", ["B000000009", "", "Z", "B00000000"])
def test_an_unknown_identifier_is_a_key_error(catalogue, asin):
    with pytest.raises(KeyError):
        catalogue[0].product(asin)


@pytest.mark.parametrize("position", [3, -4])
def test_a_position_beyond_the_end_is_an_index_error(catalogue, position):
    with pytest.raises(IndexError):
        catalogue[0][position]


def test_a_catalogue_is_written_once(tmp_path, make_product):
    store(tmp_path / "shop", stock(make_product, 2), dict)
    store(tmp_path / "shop", iter(()), lambda: pytest.fail("it is there already"))
    assert len(Catalogue(tmp_path / "shop")) == 2


def test_what_fails_leaves_nothing_behind(tmp_path, make_product):
    def broken():
        yield from stock(make_product, 3)
        raise DataError("malformed")

    with pytest.raises(DataError, match="malformed"):
        store(tmp_path / "shop", broken(), dict)
    with pytest.raises(DataError, match="no products"):
        store(tmp_path / "shop", iter(()), dict)
    assert [path.name for path in tmp_path.iterdir()] == ["shop.lock"]


WRITER = """
import sys, time
from pathlib import Path
from metaplan.environments.webshop.builtin import builtin_shop
from metaplan.environments.webshop.catalogue import store
from metaplan.environments.webshop.shop import _stock

def slowly(stocked):
    for item in stocked:
        time.sleep(float(sys.argv[2]))
        yield item

shop = builtin_shop()
stocked = _stock(shop.products, shop.attributes, shop.human)
print("begins", flush=True)
store(Path(sys.argv[1]), slowly(stocked), dict)
"""


def writer(directory, pause_s):
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(directory), str(pause_s)], stdout=subprocess.PIPE
    )


def test_after_a_killed_writer_the_next_one_begins_anew(tmp_path):
    killed = writer(tmp_path / "shop", 0.05)
    killed.stdout.readline()
    deadline = time.monotonic() + 30
    while not (tmp_path / "shop.partial").is_dir() and time.monotonic() < deadline:
        time.sleep(0.02)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert not (tmp_path / "shop").exists()
    assert writer(tmp_path / "shop", 0).wait(60) == 0
    assert len(Catalogue(tmp_path / "shop")) == 480


def test_writers_at_one_time_make_one_catalogue(tmp_path):
    writers = [writer(tmp_path / "shop", 0) for _ in range(3)]
    assert [process.wait(60) for process in writers] == [0, 0, 0]
    assert len(Catalogue(tmp_path / "shop")) == 480
    assert sorted(path.name for path in tmp_path.iterdir()) == ["shop", "shop.lock"]


@pytest.fixture
def small_chunks(monkeypatch):
    monkeypatch.setattr(Entries, "_CHUNK_BYTES", 7)
    monkeypatch.setattr(Entries, "_LONGEST", 200)


LIST = [{"a": "é 😀 [1], {2}"}, {"b": [1, {"c": "]"}]}, {}]


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("ascii_only", [True, False])
def test_a_list_is_read_entry_by_entry(tmp_path, indent, ascii_only):
    path = tmp_path / "list.json"
    path.write_text(json.dumps(LIST, indent=indent, ensure_ascii=ascii_only) + "\n", "utf-8")
    assert list(Entries(path)) == LIST


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize(
    "text", ['[{"a": 1}, {"b"', '[{"a": 1}', '[{"a": 1}] x', "", '[{"a": 1}, nonsense' * 40]
)
def test_a_list_that_is_cut_short_or_malformed_is_named(tmp_path, text):
    path = tmp_path / "list.json"
    path.write_text(text)
    with pytest.raises(DataError, match=r"list\.json"):
        list(Entries(path))


def test_a_file_that_is_no_text_is_named(tmp_path):
    path = tmp_path / "list.json"
    path.write_bytes(b'[{"a": "\xff\xfe"}]')
    with pytest.raises(DataError, match=r"list\.json can't be read"):
        list(Entries(path))
