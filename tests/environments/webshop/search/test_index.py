"""The search index: Lucene's order, built once, mapped by all."""

import json
import math
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metaplan.core import DataError
from metaplan.environments.webshop.search import SearchIndex
from metaplan.environments.webshop.search.building import ARRAYS, MANIFEST
from metaplan.environments.webshop.search.lengths import LENGTHS, byte_of_length
from metaplan.environments.webshop.search.words import split, term

RECORDED = json.loads((Path(__file__).parent / "lucene.json").read_text("utf-8"))


def analysed(text: str) -> list[str]:
    return [found for word in split(text) if (found := term(word)) is not None]


def by_hand(documents: list[str], query: str) -> list[int]:
    """BM25 document by document, in single precision, the sum in double."""
    one, k1, b = np.float32(1), np.float32(0.9), np.float32(0.4)
    counted = [Counter(analysed(document)) for document in documents]
    lengths = [sum(counts.values()) for counts in counted]
    filled = sum(length > 0 for length in lengths)
    mean = np.float32(sum(lengths) / max(filled, 1))
    scores = {}
    for at, counts in enumerate(counted):
        total = 0.0
        for word, repeats in Counter(analysed(query)).items():
            having = sum(word in others for others in counted)
            if word not in counts:
                continue
            length = np.float32(LENGTHS[byte_of_length(np.array([lengths[at]]))[0]])
            norm = one / (k1 * ((one - b) + b * length / mean))
            idf = np.float32(math.log(1 + (filled - having + 0.5) / (having + 0.5)))
            weight = np.float32(repeats) * idf
            total += float(weight - weight / (one + np.float32(counts[word]) * norm))
        if total:
            scores[at] = np.float32(total)
    return sorted(scores, key=lambda at: (-scores[at], at))


@pytest.fixture(scope="module")
def recorded(tmp_path_factory) -> SearchIndex:
    ids = RECORDED["ids"]
    return SearchIndex.open(
        RECORDED["documents"],
        tmp_path_factory.mktemp("recorded") / "index",
        tie_order=sorted(range(len(ids)), key=ids.__getitem__),
    )


@pytest.mark.parametrize("number", range(len(RECORDED["queries"])))
def test_the_order_is_that_of_the_official_search_engine(recorded, number):
    found = recorded.search(RECORDED["queries"][number])
    assert [RECORDED["ids"][at] for at in found] == RECORDED["found"][number]


WORDS = ["red", "blue", "shoes", "shoe", "the", "of", "5", "men's", "cotton"]
TEXTS = st.lists(st.sampled_from(WORDS), max_size=12)


@settings(max_examples=60, deadline=None)
@given(documents=st.lists(TEXTS, min_size=1, max_size=12), query=TEXTS, limit=st.integers(1, 15))
def test_scores_are_bm25_and_the_best_come_first(tmp_path_factory, documents, query, limit):
    texts = [" ".join(words) for words in documents]
    index = SearchIndex.open(texts, tmp_path_factory.mktemp("some") / "index")
    assert index.search(" ".join(query), limit) == by_hand(texts, " ".join(query))[:limit]


def test_equal_scores_keep_the_order_that_is_given(tmp_path):
    documents = ["red shoe", "blue shoe", "red shoe", "red shoe"]
    assert SearchIndex.open(documents, tmp_path / "own").search("red") == [0, 2, 3]
    given_order = SearchIndex.open(documents, tmp_path / "given", tie_order=[3, 1, 0, 2])
    assert given_order.search("red") == [3, 0, 2]
    assert given_order.search("red", limit=2) == [3, 0]


@pytest.mark.parametrize("query", ["", "the of", "unheard", "!?", "\ud800"])
def test_what_matches_nothing_finds_nothing(tmp_path, query):
    assert SearchIndex.open(["red shoe", ""], tmp_path / "index").search(query) == []


def test_an_index_without_any_word_finds_nothing(tmp_path):
    assert SearchIndex.open(["", "the"], tmp_path / "index").search("red") == []


class Counting(list[str]):
    """Documents that say when they are read."""

    def __init__(self, documents: list[str], log: Path) -> None:
        super().__init__(documents)
        self._log = log

    def __getitem__(self, at):
        with self._log.open("a") as log:
            log.write(f"{os.getpid()}\n")
        return super().__getitem__(at)


def ask(documents: list[str], directory: Path) -> list[int]:
    return SearchIndex.open(documents, directory).search("red")


def test_of_many_processes_that_ask_at_once_one_builds(tmp_path):
    documents = Counting(["red shoe", "blue shoe"] * 50, tmp_path / "log")
    context = multiprocessing.get_context("fork")
    with context.Pool(4) as pool:
        arguments = [(documents, tmp_path / "index")] * 4
        found = pool.starmap(ask, arguments, chunksize=1)
    assert found == [list(range(0, 100, 2))] * 4
    readers = (tmp_path / "log").read_text().split()
    assert len(readers) == 100
    assert len(set(readers)) == 1


@pytest.mark.parametrize("name", [*(f"{name}.npy" for name in ARRAYS), MANIFEST])
def test_a_file_cut_short_is_built_anew(tmp_path, name):
    documents = ["red shoe", "blue shoe"]
    SearchIndex.open(documents, tmp_path / "index")
    damaged = tmp_path / "index" / name
    damaged.write_bytes(damaged.read_bytes()[:-3])
    assert SearchIndex.open(documents, tmp_path / "index").search("blue") == [1]


def test_an_index_of_another_number_of_documents_is_built_anew(tmp_path):
    SearchIndex.open(["red shoe"], tmp_path / "index")
    assert SearchIndex.open(["red shoe", "red hat"], tmp_path / "index").search("hat") == [1]


SLOW_BUILD = """
import sys, time
from pathlib import Path
from metaplan.environments.webshop.search import SearchIndex

class Slow(list):
    def __getitem__(self, at):
        if at == 1:
            print("building", flush=True)
            time.sleep(60)
        return super().__getitem__(at)

SearchIndex.open(Slow(["red shoe", "blue shoe"]), Path(sys.argv[1]))
"""


def test_a_killed_build_leaves_nothing_that_is_taken_for_an_index(tmp_path):
    command = [sys.executable, "-c", SLOW_BUILD, str(tmp_path / "index")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as building:
        assert building.stdout.readline() == "building\n"
        building.send_signal(signal.SIGKILL)
    assert not (tmp_path / "index").exists()
    begun = time.monotonic()
    assert SearchIndex.open(["red shoe", "blue shoe"], tmp_path / "index").search("blue") == [1]
    assert time.monotonic() - begun < 30  # the dead process holds no lock
    assert not (tmp_path / "index.partial").exists()


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="file/index can't be built"):
        SearchIndex.open(["red shoe"], tmp_path / "file" / "index")
