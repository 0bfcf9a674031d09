"""Guesses of what a reply says next, from what replies have said before.

A guess costs a little and changes no text: several guessed tokens are computed at once, and kept as
far as they are the ones that are drawn.
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["Drafts"]

_SURE = 2
_STRONGEST = 3
_CONTEXTS = 1 << 17


class Drafts:
    """Remembers which token followed the last ones, and how reliably: a two-bit counter of each.

    Attributes:
        order: By how many last tokens it goes.
    """

    order = 3

    def __init__(self) -> None:
        self._next: dict[tuple[int, ...], tuple[int, int]] = {}

    def learn(self, before: Sequence[int], token: int) -> None:
        """Notes that `token` followed."""
        context = tuple(before[-self.order :])
        guess, strength = self._next.get(context, (token, 0))
        if guess == token:
            strength = min(strength + 1, _STRONGEST)
        elif strength:
            strength -= 1
        else:
            guess, strength = token, 1
        if len(self._next) >= _CONTEXTS:
            self._next.clear()
        self._next[context] = guess, strength

    def guess(self, before: Sequence[int], most: int) -> list[int]:
        """Tokens that probably follow, at most so many."""
        context = tuple(before[-self.order :])
        found: list[int] = []
        while len(found) < most:
            token, strength = self._next.get(context, (0, 0))
            if strength < _SURE:
                break
            found.append(token)
            context = (*context[1:], token)
        return found
