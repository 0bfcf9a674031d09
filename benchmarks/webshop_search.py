"""WebShop's search: order and time beside bm25s, and what the index of a whole shop costs.

    python benchmarks/webshop_search.py [--products 20000] [--queries 400] [--workers 4]

First both rank the same products for the same queries: the 1,000 official ones where
METAPLAN_DATA has them, else our built-in shop. bm25s (method "lucene", the same k1 and b) once with
its own words, and once with ours, which leaves lengths, arithmetic and ties.

Then a catalogue is generated, with words as frequent as words are (Zipf) and as long as real ones
(110 words on average), and its index built; --products 1180000 is the size of the whole shop
(minutes, 2 GB of disk). Every worker is a process of its own that opens the index and searches.
"""

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from metaplan.core import UserError
from metaplan.environments.webshop.search import SearchIndex
from metaplan.environments.webshop.search.words import split, term

SEED = 0
VOCABULARY = 400_000
BLOCK = 10_000
MEAN_LENGTH = 110
LETTERS = "etaoinshrdlucmfwypvbgkjqxz"


class GeneratedDocuments(Sequence[str]):
    """Texts of products, block by block from a seed; the same for every process."""

    def __init__(self, count: int) -> None:
        weights = 1 / (np.arange(VOCABULARY) + 2.7) ** 1.05
        self._chance = np.cumsum(weights / weights.sum())
        self._words = np.array([spell(rank) for rank in range(VOCABULARY)], dtype=object)
        self._count = count
        self._block: tuple[int, list[str]] = (-1, [])

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, at):
        number, offset = divmod(at, BLOCK)
        if self._block[0] != number:
            self._block = (number, self._generate(number))
        return self._block[1][offset]

    def _generate(self, number: int) -> list[str]:
        rng = np.random.default_rng([SEED, number])
        lengths = rng.lognormal(np.log(MEAN_LENGTH) - 0.18, 0.6, BLOCK).astype(int) + 3
        ranks = np.searchsorted(self._chance, rng.random(lengths.sum()))
        words = self._words[np.minimum(ranks, VOCABULARY - 1)]
        return [" ".join(part) for part in np.split(words, np.cumsum(lengths)[:-1])]


def spell(rank: int) -> str:
    """A word of its own for every rank; frequent ones are short."""
    word = LETTERS[rank % 20] + LETTERS[rank // 20 % 26]
    rank //= 520
    while rank:
        rank, letter = divmod(rank, 26)
        word += LETTERS[letter]
    return word + "o"  # nothing that a stemmer takes away


def draw_queries(documents: Sequence[str], count: int, words: tuple[int, int]) -> list[str]:
    """Words of random products, in their order."""
    rng = random.Random(SEED)
    queries = []
    for _ in range(count):
        known = documents[rng.randrange(min(len(documents), BLOCK))].split()
        chosen = sorted(rng.sample(range(len(known)), min(rng.randint(*words), len(known))))
        queries.append(" ".join(known[at] for at in chosen))
    return queries


def timed(search: Callable[[str], list[int]], queries: Sequence[str]) -> tuple[list, np.ndarray]:
    """Hits of every query, and milliseconds each."""
    hits, spent = [], []
    for query in queries:
        begun = time.perf_counter()
        hits.append(search(query))
        spent.append((time.perf_counter() - begun) * 1000)
    return hits, np.array(spent)


def shop_documents() -> tuple[str, list[str]]:
    """The texts that a shop is searched by."""
    from metaplan.environments.webshop.shop import BUILTIN, open_shop

    for name in ("1000", BUILTIN):
        try:
            catalogue = open_shop(name).catalogue
        except UserError:
            continue
        return name, list(catalogue.documents)
    raise SystemExit("there is no shop")


def bm25s_search(documents: Sequence[str], analyse: Callable[[Sequence[str]], list[list[str]]]):
    """A search by bm25s over the words that `analyse` makes."""
    import bm25s

    retriever = bm25s.BM25(method="lucene", k1=0.9, b=0.4)
    retriever.index(analyse(documents), show_progress=False)
    known = set(retriever.vocab_dict)

    def search(query: str) -> list[int]:
        (words,) = analyse([query])
        words = [word for word in words if word in known]
        if not words:
            return []
        limit = min(50, len(documents))
        found, scores = retriever.retrieve([words], k=limit, show_progress=False)
        return [int(at) for at, score in zip(found[0], scores[0], strict=True) if score > 0]

    return search


def its_words(texts: Sequence[str]) -> list[list[str]]:
    """As bm25s's documentation has it: English stop words and Snowball's stemmer."""
    import bm25s
    import Stemmer

    return bm25s.tokenize(
        list(texts), stopwords="en", stemmer=Stemmer.Stemmer("english"), return_ids=False,
        show_progress=False,
    )  # fmt: skip


def our_words(texts: Sequence[str]) -> list[list[str]]:
    return [[found for word in split(text) if (found := term(word))] for text in texts]


def agreement(ours: list[list[int]], theirs: list[list[int]]) -> str:
    """Shares of queries with the same first hit, first ten, and whole list; and of ten shared."""
    pairs = [(a, b) for a, b in zip(ours, theirs, strict=True) if a]
    first = np.mean([a[:1] == b[:1] for a, b in pairs])
    ten = np.mean([a[:10] == b[:10] for a, b in pairs])
    whole = np.mean([a == b for a, b in pairs])
    shared = np.mean([len(set(a[:10]) & set(b[:10])) / len(a[:10]) for a, b in pairs])
    return f"{first:>9.1%}{ten:>10.1%}{whole:>10.1%}{shared:>10.1%}"


def compare(count: int, directory: Path) -> None:
    name, documents = shop_documents()
    queries = draw_queries(documents, count, (2, 12))
    index = SearchIndex.open(documents, directory)
    print(f"{len(documents)} products ({name}), {len(queries)} queries of 2 to 12 words\n")
    header = f"{'first':>9}{'first 10':>10}{'all 50':>10}{'shared':>10}"
    print(f"{'':<28}{'ms a query':>11}{header}   equal to ours")
    ours, spent = timed(index.search, queries)
    print(f"{'metaplan':<28}{spent.mean():>11.3f}")
    for label, analyse in (("bm25s, its words", its_words), ("bm25s, our words", our_words)):
        theirs, spent = timed(bm25s_search(documents, analyse), queries)
        print(f"{label:<28}{spent.mean():>11.3f}{agreement(ours, theirs)}", flush=True)


WORKER = "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[1]); \
import webshop_search; webshop_search.work(*sys.argv[2:])"


def private_mb() -> float:
    """Memory that only this process has: what it wrote itself, not what it mapped."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) / 1024


def work(products: str, directory: str, queries_file: str) -> None:
    """What a worker does: opens the index, searches, prints memory and times."""
    queries = Path(queries_file).read_text().splitlines()
    nothing = _Counted(int(products))
    index = SearchIndex.open(nothing, Path(directory))
    _, spent = timed(index.search, queries)
    half = spent[len(spent) // 2 :]  # the first half reads the files for the first time
    p50, p99 = np.percentile(half, [50, 99])
    print(f"{private_mb():.0f} {p50:.1f} {p99:.1f} {half.max():.1f}")


class _Counted(Sequence[str]):
    """Documents that nobody may read: the index is there."""

    def __init__(self, count: int) -> None:
        self._count = count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, at):
        raise AssertionError("the index is built anew")


def measure(products: int, count: int, workers: int, directory: Path) -> None:
    documents = GeneratedDocuments(products)
    begun = time.perf_counter()
    for at in range(0, products, BLOCK):
        documents[at]
    generating_s = time.perf_counter() - begun
    begun, cpu = time.perf_counter(), time.process_time()
    SearchIndex.open(documents, directory)
    wall_s, cpu_s = time.perf_counter() - begun, time.process_time() - cpu
    disk = sum(path.stat().st_size for path in directory.iterdir()) / 1e6
    print(f"\n{products} generated products: built in {wall_s - generating_s:.0f} s ", end="")
    print(f"({cpu_s:.0f} s CPU with {generating_s:.0f} s to generate them), {disk:.0f} MB of disk")
    print(f"\n{workers} workers, one after the other, then at once")
    print(f"{'':<36}{'private, MB':>12}{'p50, ms':>10}{'p99, ms':>10}{'most':>8}")
    for label, words in (("queries of 2 to 6 words", (2, 6)), ("of 12 to 25 words", (12, 25))):
        file = directory.with_name("queries.txt")
        file.write_text("\n".join(draw_queries(documents, count, words)))
        one = [spawn(products, directory, file).communicate()[0]]
        print(row(f"{label}, one worker", one), flush=True)
        several = [spawn(products, directory, file) for _ in range(workers)]
        print(row(f"{label}, {workers} at once", [each.communicate()[0] for each in several]))


def spawn(products: int, directory: Path, queries: Path) -> subprocess.Popen:
    here = str(Path(__file__).parent)
    command = [sys.executable, "-c", WORKER, here, str(products), str(directory), str(queries)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)


def row(label: str, outputs: list[str]) -> str:
    """The worst of several workers."""
    memory, p50, p99, most = np.max([[float(x) for x in out.split()] for out in outputs], axis=0)
    return f"{label:<36}{memory:>12.0f}{p50:>10.1f}{p99:>10.1f}{most:>8.1f}"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--products", type=int, default=20_000)
    parser.add_argument("--queries", type=int, default=400)
    parser.add_argument("--workers", type=int, default=4)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        compare(options.queries, Path(folder) / "shop")
        measure(options.products, options.queries, options.workers, Path(folder) / "generated")


if __name__ == "__main__":
    main()
