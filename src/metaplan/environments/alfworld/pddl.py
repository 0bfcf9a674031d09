"""The PDDL of ALFWorld's games, run without grounding it first.

Fast Downward translates a whole game into a table of ground operators before the first command
can be done. A text game needs less: which ways an action applies *now*, and whether the goal
holds. Both are answered here by searching the facts, so a game is ready in milliseconds.

What is understood: typed objects; conditions of atoms, ``and``, ``or``, ``not``, ``exists`` and
``=``; effects of atoms, ``not``, ``and`` and ``when``. Costs are ignored. Anything else raises
`Unsupported`, and the caller falls back on TextWorld.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import count
from typing import Any

from metaplan.environments.alfworld.conditions import (
    And,
    Arguments,
    Atom,
    Binding,
    Condition,
    Equal,
    Exists,
    Not,
    Or,
    Typed,
    World,
    flat,
)

__all__ = ["Action", "Domain", "Problem", "Unsupported"]

Expression = Any
"""A token, or a list of expressions."""


class Unsupported(Exception):
    """A game uses something that only TextWorld's own engine understands."""


@dataclass(frozen=True)
class _Effect:
    """One atom made true or false, where `when` holds."""

    predicate: str
    terms: Arguments
    truth: bool
    when: Condition | None


@dataclass(frozen=True)
class Action:
    """An action schema.

    Attributes:
        parameters: Name without ``?``, and type.
    """

    name: str
    parameters: tuple[tuple[str, str], ...]
    condition: Condition
    effects: tuple[_Effect, ...]

    @cached_property
    def may_idle(self) -> bool:
        """Whether some arguments could make every effect one that the condition implies."""
        required = {part.predicate for part in flat([self.condition]) if isinstance(part, Atom)}
        return all(effect.when is None and effect.predicate in required for effect in self.effects)

    def _idles(self, binding: Binding) -> bool:
        """Whether nothing would change, as in going where one is: Fast Downward drops that."""
        required = {
            _ground(part, binding) for part in flat([self.condition]) if isinstance(part, Atom)
        }
        added = {_ground(effect, binding) for effect in self.effects if effect.truth}
        removed = {_ground(effect, binding) for effect in self.effects if not effect.truth}
        return added <= required and removed <= added

    def applicable(self, world: World) -> Iterator[Arguments]:
        """The arguments with which the action can be done now, each once."""
        seen = set()
        for binding in self.condition.solutions({}, world):
            arguments = tuple([binding[f"?{name}"] for name, _ in self.parameters])
            if arguments not in seen and not (self.may_idle and self._idles(binding)):
                seen.add(arguments)
                yield arguments

    def bind(self, arguments: Arguments) -> dict[tuple[str, str], str]:
        """Name and type of each parameter to its argument."""
        return dict(zip(self.parameters, arguments, strict=True))

    def apply(self, arguments: Arguments, world: World) -> None:
        """Changes the world as the action does; of contradicting effects, the positive wins."""
        names = [f"?{name}" for name, _ in self.parameters]
        binding = dict(zip(names, arguments, strict=True))
        fired = [
            effect
            for effect in self.effects
            if effect.when is None or next(effect.when.solutions(binding, world), None) is not None
        ]
        for effect in sorted(fired, key=lambda effect: effect.truth):
            change = world.make_true if effect.truth else world.make_false
            change(effect.predicate, tuple([binding.get(term, term) for term in effect.terms]))


def _ground(atom: Atom | _Effect, binding: Binding) -> Arguments:
    """Predicate and arguments as one tuple."""
    return (atom.predicate, *(binding.get(term, term) for term in atom.terms))


@dataclass(frozen=True)
class Domain:
    """What all games of one kind share.

    Attributes:
        actions: By lower-case name, in the file's order.
        changing: Predicates that some action changes, and their ``not_`` counterparts.
    """

    types: frozenset[str]
    actions: Mapping[str, Action]
    changing: frozenset[str]

    @classmethod
    @lru_cache(maxsize=8)
    def parse(cls, text: str) -> Domain:
        """Reads a domain file; remembered, since thousands of games share one."""
        sections = _sections(_read(text))
        types = _typed_names([name for part in sections.get(":types", []) for name in part])
        if any(parent != "object" for _, parent in types):
            raise Unsupported("a hierarchy of types")
        bodies = [_keywords(part[1:]) | {"name": part[0]} for part in sections[":action"]]
        changing = frozenset(
            name
            for body in bodies
            for effect in _effects(body[":effect"], None, frozenset())
            for name in (effect.predicate, f"not_{effect.predicate}")
        )
        actions = {body["name"]: _action(body, changing) for body in bodies}
        return cls(frozenset(name for name, _ in types) | {"object"}, actions, changing)


@dataclass(frozen=True)
class Problem:
    """One game's world and goal."""

    world: World
    goal: Condition

    @classmethod
    def parse(cls, text: str, domain: Domain) -> Problem:
        """Reads a problem file."""
        sections = _sections(_read(text))
        objects: dict[str, set[str]] = {name: set() for name in domain.types}
        for name, type_name in _typed_names(sections[":objects"][0]):
            if type_name not in objects:
                raise Unsupported(f"the undeclared type {type_name}")
            objects[type_name].add(name)
            objects["object"].add(name)
        facts: dict[str, set[Arguments]] = {}
        for fact in sections[":init"][0]:
            if fact[0] == "=":  # a distance or cost
                continue
            facts.setdefault(fact[0], set()).add(tuple(fact[1:]))
        goal = _condition(sections[":goal"][0][0], domain.changing)
        frozen = {name: frozenset(members) for name, members in objects.items()}
        return cls(World(facts, frozen), goal)


def _read(text: str) -> list[Expression]:
    """A file's one top-level list; case and comments do not matter in PDDL."""
    plain = "\n".join(line.split(";", 1)[0] for line in text.lower().split("\n"))
    stack: list[list[Expression]] = [[]]
    for word in plain.replace("(", " ( ").replace(")", " ) ").split():
        if word == "(":
            stack.append([])
        elif word == ")":
            if len(stack) == 1:
                raise Unsupported("an unmatched parenthesis")
            closed = stack.pop()
            stack[-1].append(closed)
        else:
            stack[-1].append(word)
    if len(stack) != 1 or len(stack[0]) != 1:
        raise Unsupported("an unmatched parenthesis")
    top: list[Expression] = stack[0][0]
    return top


def _sections(file: list[Expression]) -> dict[str, list[Expression]]:
    """``(define (domain …) (:section …) …)`` by section name."""
    sections: dict[str, list[Expression]] = {}
    for section in file[2:]:
        sections.setdefault(section[0], []).append(section[1:])
    return sections


def _keywords(body: list[Expression]) -> dict[str, Expression]:
    """``:key value :key value`` as a dictionary."""
    return dict(zip(body[::2], body[1::2], strict=True))


def _typed_names(tokens: list[Expression]) -> list[tuple[str, str]]:
    """``a b - t c`` as ``(a, t), (b, t), (c, object)``."""
    names: list[tuple[str, str]] = []
    waiting: list[str] = []
    words = iter(tokens)
    for word in words:
        if word == "-":
            type_name = next(words)
            if not isinstance(type_name, str):
                raise Unsupported("a union of types")
            names += [(name, type_name) for name in waiting]
            waiting = []
        else:
            waiting.append(word)
    return names + [(name, "object") for name in waiting]


def _action(body: dict[str, Expression], changing: frozenset[str]) -> Action:
    parameters = _typed_names(body[":parameters"])
    parts: list[Condition] = [Typed(name, type_name) for name, type_name in parameters]
    if precondition := body.get(":precondition"):
        parts.append(_condition(precondition, changing))
    return Action(
        name=body["name"],
        parameters=tuple((name[1:], type_name) for name, type_name in parameters),
        condition=And(flat(parts), changing),
        effects=tuple(_effects(body[":effect"], None, changing)),
    )


_fresh = count()


def _condition(tree: Expression, changing: frozenset[str]) -> Condition:
    match tree:
        case ["and", *parts]:
            return And(flat([_condition(part, changing) for part in parts]), changing)
        case ["or", *parts] if parts:
            return Or([_condition(part, changing) for part in parts])
        case ["not", part]:
            return Not(_condition(part, changing))
        case ["=", str(left), str(right)]:
            return Equal(left, right)
        case ["exists", variables, part]:
            typed = _typed_names(variables)
            renamed = {name: f"{name}.{next(_fresh)}" for name, _ in typed}
            parts = [Typed(renamed[name], type_name) for name, type_name in typed]
            parts.append(_condition(_rename(part, renamed), changing))
            return Exists(frozenset(renamed.values()), And(flat(parts), changing))
        case [str(predicate), *terms] if predicate not in {"forall", "imply", "when"}:
            return Atom(predicate, tuple(terms))
    raise Unsupported(f"the condition {tree}")


def _rename(tree: Expression, names: Mapping[str, str]) -> Expression:
    if isinstance(tree, str):
        return names.get(tree, tree)
    return [_rename(part, names) for part in tree]


def _effects(
    tree: Expression, when: Condition | None, changing: frozenset[str]
) -> Iterator[_Effect]:
    match tree:
        case ["and", *parts]:
            for part in parts:
                yield from _effects(part, when, changing)
        case ["increase", *_]:
            return
        case ["when", condition, part] if when is None:
            yield from _effects(part, _condition(condition, changing), changing)
        case ["not", [str(predicate), *terms]]:
            yield _Effect(predicate, tuple(terms), False, when)
        case [str(predicate), *terms] if predicate not in {"forall", "when", "not"}:
            yield _Effect(predicate, tuple(terms), True, when)
        case _:
            raise Unsupported(f"the effect {tree}")
