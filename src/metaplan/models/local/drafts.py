"""Guesses of what a reply says next, from what replies have said before.

A guess costs a little and changes no text: several guessed tokens are computed at once, and kept as
far as they are the ones that are drawn. Computing a token takes reading all keys and values of its
conversation from memory, and several at once take that once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

__all__ = ["Drafts"]

_CONTEXTS = 1 << 19


class Drafts:
    """Remembers which token followed the last ones, until another one does.

    It goes by the most last tokens that were seen before: what many of them agree on holds longer,
    and few of them have been seen early.

    Attributes:
        most: Of how many last tokens it takes note.
    """

    _orders = (24, 12, 6, 3, 2)
    most = max(_orders)

    def __init__(self) -> None:
        self._next: dict[int, int] = {}  # By hashes of contexts: a wrong guess does no harm.

    def learn(self, before: Sequence[int], token: int) -> None:
        """Notes that `token` followed."""
        if len(self._next) >= _CONTEXTS:
            self._next.clear()
        for context in self._contexts(before):
            if self._next.setdefault(context, token) != token:
                del self._next[context]

    def guess(self, before: Sequence[int], most: int) -> list[int]:
        """Tokens that probably follow, at most so many."""
        said = list(before[-self.most :])
        found: list[int] = []
        while len(found) < most:
            known = (self._next.get(context) for context in self._contexts(said))
            token = next((token for token in known if token is not None), None)
            if token is None:
                break
            found.append(token)
            said.append(token)
        return found

    def _contexts(self, before: Sequence[int]) -> Iterator[int]:
        for order in self._orders:
            if len(before) >= order:
                yield hash(tuple(before[-order:]))
