"""Worlds of facts, and conditions that are answered by searching them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

__all__ = [
    "And",
    "Arguments",
    "Atom",
    "Binding",
    "Condition",
    "Equal",
    "Exists",
    "Not",
    "Or",
    "Typed",
    "World",
    "flat",
]

Arguments = tuple[str, ...]
Binding = Mapping[str, str]


class World:
    """Objects and the facts about them; the state of one episode.

    Attributes:
        facts: Predicate to the argument tuples for which it is true. ``not_p`` holds those for
            which an action has made ``p`` false, as in TextWorld's state.
        objects: Type to its objects; an object counts for its type and for ``object``.
    """

    def __init__(
        self, facts: Mapping[str, set[Arguments]], objects: Mapping[str, frozenset[str]]
    ) -> None:
        self.facts = dict(facts)
        self.objects = objects

    def copy(self, changing: frozenset[str]) -> World:
        """A world that changes on its own; predicates not in `changing` are shared."""
        facts = {p: set(args) if p in changing else args for p, args in self.facts.items()}
        return World(facts, self.objects)

    def true_for(self, predicate: str) -> set[Arguments]:
        """The argument tuples for which a predicate is true."""
        return self.facts.get(predicate, _NOTHING)

    def make_true(self, predicate: str, arguments: Arguments) -> None:
        """Adds a fact."""
        self.facts.setdefault(f"not_{predicate}", set()).discard(arguments)
        self.facts.setdefault(predicate, set()).add(arguments)

    def make_false(self, predicate: str, arguments: Arguments) -> None:
        """Removes a fact and remembers that it was removed."""
        self.facts.setdefault(predicate, set()).discard(arguments)
        self.facts.setdefault(f"not_{predicate}", set()).add(arguments)


_NOTHING: set[Arguments] = set()


class Condition(Protocol):
    """A condition over variables (``?x``) and objects.

    Attributes:
        free: Its variables.
        binds: Those that every solution gives a value.
        needs: Those that must have a value before `solutions` is asked.
    """

    free: frozenset[str]
    binds: frozenset[str]
    needs: frozenset[str]

    def solutions(self, binding: Binding, world: World) -> Iterator[Binding]:
        """Every way to extend `binding` so that the condition holds (some may repeat)."""


class Atom:
    """A predicate over terms."""

    needs: frozenset[str] = frozenset()

    def __init__(self, predicate: str, terms: Arguments) -> None:
        self.predicate = predicate
        self.terms = terms
        self.free = self.binds = frozenset(term for term in terms if term[0] == "?")

    def solutions(self, binding: Binding, world: World) -> Iterator[Binding]:
        """Every fact that fits."""
        terms = tuple([binding.get(term, term) for term in self.terms])
        known = world.true_for(self.predicate)
        if not any(term[0] == "?" for term in terms):
            if terms in known:
                yield binding
            return
        for arguments in known:
            found: dict[str, str] = {}
            for term, value in zip(terms, arguments, strict=True):
                if term != value and (term[0] != "?" or found.setdefault(term, value) != value):
                    break
            else:
                yield {**binding, **found}


class Typed:
    """A variable has a type: a test once it has a value, else a source of values."""

    needs: frozenset[str] = frozenset()

    def __init__(self, variable: str, type_name: str) -> None:
        self.variable = variable
        self.type_name = type_name
        self.free = self.binds = frozenset({variable})

    def solutions(self, binding: Binding, world: World) -> Iterator[Binding]:
        """The binding itself, or one for every object of the type."""
        objects = world.objects.get(self.type_name, frozenset())
        if self.variable in binding:
            if binding[self.variable] in objects:
                yield binding
            return
        for name in objects:
            yield {**binding, self.variable: name}


class Equal:
    """Two terms stand for the same thing."""

    binds: frozenset[str] = frozenset()

    def __init__(self, left: str, right: str) -> None:
        self.left, self.right = left, right
        self.free = self.needs = frozenset(term for term in (left, right) if term[0] == "?")

    def solutions(self, binding: Binding, world: World) -> Iterator[Binding]:  # noqa: ARG002
        """The binding itself where both terms stand for one thing."""
        if binding.get(self.left, self.left) == binding.get(self.right, self.right):
            yield binding


class Not:
    """A condition does not hold."""

    binds: frozenset[str] = frozenset()

    def __init__(self, part: Condition) -> None:
        self.part = part
        self.free = self.needs = part.free

    def solutions(self, binding: Binding, world: World) -> Iterator[Binding]:
        """The binding itself where the part has no solution."""
        if next(self.part.solutions(binding, world), None) is None:
            yield binding


class Or:
    """At least one of its parts."""

    def __init__(self, parts: Sequence[Condition]) -> None:
        self.parts = parts
        self.free = frozenset().union(*(part.free for part in parts))
        self.binds = parts[0].binds.intersection(*(part.binds for part in parts))
        unbound = (part.needs | (part.free - part.binds) for part in parts)
        self.needs = frozenset().union(*unbound)

    def solutions(self, binding: Binding, world: World) -> Iterator[Binding]:
        """Those of every part, one part after the other."""
        for part in self.parts:
            yield from part.solutions(binding, world)


class And:
    """All of its parts, in an order that tests early and never asks with too little known."""

    def __init__(self, parts: Sequence[Condition], changing: frozenset[str]) -> None:
        self.parts, self.needs = _ordered(parts, changing)
        self.free = frozenset().union(*(part.free for part in parts))
        self.binds = frozenset().union(*(part.binds for part in parts))

    def solutions(self, binding: Binding, world: World) -> Iterator[Binding]:
        """Those of all parts together."""
        return self._from(0, binding, world)

    def _from(self, index: int, binding: Binding, world: World) -> Iterator[Binding]:
        if index == len(self.parts):
            yield binding
            return
        for extended in self.parts[index].solutions(binding, world):
            yield from self._from(index + 1, extended, world)


class Exists:
    """Some things make the part hold.

    Its variables have names that occur nowhere else, so they need no forgetting.
    """

    def __init__(self, variables: frozenset[str], part: Condition) -> None:
        self.part = part
        self.free = part.free - variables
        self.binds = part.binds - variables
        self.needs = part.needs - variables

    def solutions(self, binding: Binding, world: World) -> Iterator[Binding]:
        """Those of the part; its own variables stay in the binding, unread."""
        return self.part.solutions(binding, world)


def _ordered(
    parts: Sequence[Condition], changing: frozenset[str]
) -> tuple[tuple[Condition, ...], frozenset[str]]:
    """Tests first, then the atoms that know most of their arguments, changing facts first."""

    def rank(part: Condition) -> tuple[bool, int, int, bool]:
        kind = 0 if part.free <= bound else 2 if isinstance(part, Typed) else 1
        static = not (isinstance(part, Atom) and part.predicate in changing)
        return (not part.needs <= bound, kind, len(part.free - bound), static)

    remaining, chosen = list(parts), []
    bound: frozenset[str] = frozenset()
    needs: frozenset[str] = frozenset()
    while remaining:
        best = min(remaining, key=rank)
        remaining.remove(best)
        chosen.append(best)
        needs |= best.needs - bound
        bound |= best.binds
    return tuple(chosen), needs


def flat(parts: Sequence[Condition]) -> list[Condition]:
    """Nested conjunctions as one, so that all of it is put in order together."""
    return [inner for part in parts for inner in (part.parts if isinstance(part, And) else [part])]
