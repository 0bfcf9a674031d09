"""Document lengths in one byte."""

import numpy as np

from metaplan.environments.webshop.search.lengths import LENGTHS, byte_of_length


def test_a_byte_stands_for_the_largest_length_of_its_own_that_is_no_longer():
    lengths = np.arange(100_000)
    kept = LENGTHS[byte_of_length(lengths)]
    assert (kept <= lengths).all()
    assert (kept[:40] == lengths[:40]).all()
    assert ((lengths - kept) <= lengths / 8).all()


def test_bytes_are_lucene_s():
    # SmallFloat.byte4ToInt of Lucene 8.11
    assert LENGTHS[[0, 23, 24, 39, 40, 41, 48, 100, 255]].tolist() == [
        0, 23, 24, 39, 40, 42, 56, 3096, 2013265944,
    ]  # fmt: skip
