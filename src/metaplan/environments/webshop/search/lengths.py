"""Document lengths as Lucene keeps them: in one byte, exact up to 40 words, then coarser.

Lucene's ``SmallFloat.intToByte4`` and its inverse: the first 24 bytes stand for themselves; the
others for 24 more than a number with three bits after its leading one.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["LENGTHS", "byte_of_length"]

_EXACT = 24


def _length_of_byte(byte: int) -> int:
    if byte < _EXACT:
        return byte
    exponent, fraction = divmod(byte - _EXACT, 8)
    rest = fraction if exponent == 0 else (fraction | 8) << (exponent - 1)
    return _EXACT + rest


LENGTHS: NDArray[np.int64] = np.array([_length_of_byte(byte) for byte in range(256)], np.int64)
"""What each byte stands for, ascending."""


def byte_of_length(lengths: NDArray[np.int64]) -> NDArray[np.uint8]:
    """The byte for each number of words: the largest that does not stand for more."""
    return (np.searchsorted(LENGTHS, lengths, side="right") - 1).astype(np.uint8)
