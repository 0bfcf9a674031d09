"""The text grammar of ALFWorld's games (TextWorld's ``.twl2``), run without evaluating code.

A rule's text holds ``#rule#``, ``{expression}``, ``{expression | query}`` and, as a list with
commas, ``[{expression | query}]``. TextWorld hands the expressions to Python's ``eval``; here they
may only join names of things, which is all that the games do. Anything else raises `Unsupported`.
"""

from __future__ import annotations

import ast
import json
import re
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from metaplan.environments.alfworld.conditions import Arguments, World
from metaplan.environments.alfworld.pddl import Unsupported

__all__ = ["Binding", "Entity", "Grammar", "Placeholder", "Symbols", "predicates_in", "shared_part"]

Placeholder = tuple[str, str]
"""Name and type, as in ``r:receptacle``."""

Binding = Mapping[Placeholder, str]
"""Placeholder to the id of an object."""


@dataclass(frozen=True)
class Entity:
    """A thing as expressions see it."""

    id: str
    name: str
    definite: str = "the"
    indefinite: str = "a"


@dataclass(frozen=True)
class _Call:
    """``#rule#``."""

    rule: str


@dataclass(frozen=True)
class _Each:
    """``{expression | query}``: the expression for every way in which the query holds."""

    expression: _Call | ast.expr
    query: _Query | None
    as_list: bool


_Symbol = str | _Call | _Each

Symbols = tuple[_Symbol, ...]
"""A rule's text, read."""


@dataclass(frozen=True)
class _Query:
    """Predicates joined by ``&``; different placeholders stand for different things."""

    predicates: tuple[tuple[str, tuple[Placeholder, ...]], ...]

    def solutions(self, binding: Binding, world: World) -> Iterator[Binding]:
        """Every extension of `binding`, sorted by the ids of the things found."""
        return self._from(0, binding, world)

    def _from(self, index: int, binding: Binding, world: World) -> Iterator[Binding]:
        if index == len(self.predicates):
            yield binding
            return
        predicate, placeholders = self.predicates[index]
        known = world.true_for(predicate)
        wanted = [binding.get(placeholder) for placeholder in placeholders]
        for arguments in sorted(fact for fact in known if _fits(fact, wanted)):
            extended = _extended(binding, placeholders, arguments)
            if extended is not None:
                yield from self._from(index + 1, extended, world)


def _fits(arguments: Arguments, wanted: list[str | None]) -> bool:
    return all(want is None or want == given for want, given in zip(wanted, arguments, strict=True))


def _extended(
    binding: Binding, placeholders: tuple[Placeholder, ...], arguments: Arguments
) -> Binding | None:
    extended = dict(binding)
    for placeholder, value in zip(placeholders, arguments, strict=True):
        if placeholder not in extended:
            if value in extended.values():
                return None
            extended[placeholder] = value
        elif extended[placeholder] != value:
            return None
    return extended


@dataclass(frozen=True)
class _Rule:
    condition: _Query | None
    symbols: Symbols


@dataclass(frozen=True)
class Grammar:
    """What a game says.

    Attributes:
        rules: Name to alternatives; the first whose condition holds is taken.
        commands: Lower-case action name to the template of its command.
        answers: Lower-case action name to the template of what the game answers.
        queried: Every predicate that a rule asks for, with the types of its placeholders.
    """

    rules: Mapping[str, tuple[_Rule, ...]]
    commands: Mapping[str, Symbols]
    answers: Mapping[str, Symbols]
    queried: frozenset[tuple[str, tuple[str, ...]]]

    @classmethod
    def parse(cls, text: str) -> Grammar:
        """Reads a grammar; all but the sentence that states the task is remembered."""
        task = _TASK.search(text)
        if task is None:
            return _parse(text)
        shared = _parse(shared_part(text))
        sentence = _Rule(None, _symbols(json.loads(task.group(2))))
        rules = {**shared.rules, "task": (sentence,)}
        return cls(rules, shared.commands, shared.answers, shared.queried)

    def render(
        self,
        symbols: Symbols,
        binding: Binding,
        world: World,
        entities: Mapping[str, Entity],
    ) -> str:
        """The text of `symbols` where `binding` says what the placeholders stand for."""

        def render(symbol: _Symbol, binding: Binding) -> str:
            if isinstance(symbol, str):
                return symbol
            if isinstance(symbol, _Call):
                return whole(self._choose(symbol.rule, binding, world), binding)
            bindings = symbol.query.solutions(binding, world) if symbol.query else [binding]
            texts = [express(symbol.expression, found) for found in bindings]
            return listed(texts, binding) if symbol.as_list else "".join(texts)

        def whole(symbols: Symbols, binding: Binding) -> str:
            return "".join([render(symbol, binding) for symbol in symbols])

        def express(expression: _Call | ast.expr, binding: Binding) -> str:
            if isinstance(expression, _Call):
                return render(expression, binding)
            names = {name: entities[value] for (name, _), value in binding.items()}
            return _value(expression, names)

        def listed(texts: list[str], binding: Binding) -> str:
            if not texts:
                return render(_Call("list_empty"), binding)
            if len(texts) == 1:
                return texts[0]
            comma = render(_Call("list_separator"), binding)
            last = render(_Call("list_last_separator"), binding)
            return comma.join(texts[:-1]) + last + texts[-1]

        return whole(symbols, binding)

    def _choose(self, name: str, binding: Binding, world: World) -> Symbols:
        for rule in self.rules[name]:
            if rule.condition is None or any(
                True for _ in rule.condition.solutions(binding, world)
            ):
                return rule.symbols
        raise Unsupported(f"no rule of #{name}# applies")


def shared_part(text: str) -> str:
    """A grammar without the one sentence in which the games of a family differ."""
    return _TASK.sub(r'\1"TASK"', text)


_TASK = re.compile(r'("task"\s*:\s*\[\s*\{\s*"rhs"\s*:\s*)("(?:[^"\\]|\\.)*")')
_TOKEN = re.compile(r'"""(?P<block>.*?)"""|"(?P<text>[^"]*)"|(?P<word>[\w/-]+|::|[{};])|\s+', re.S)
_SYMBOL = re.compile(
    r"\[\{(?P<listed>[^{}\[\]]*)\}\]|\{(?P<each>[^{}\[\]]*)\}"
    r"|#(?P<call>[^#\[\]{}|]+)#|(?P<plain>[^#\[\]{}]+)"
)
_PREDICATE = re.compile(r"\s*([\w/]+)\s*\(([^()]*)\)\s*")


@lru_cache(maxsize=8)
def _parse(text: str) -> Grammar:
    """``grammar :: block;`` and ``action name { template, feedback, grammar }`` parts."""
    rules: dict[str, list[dict[str, str]]] = {}
    commands: dict[str, Symbols] = {}
    answers: dict[str, Symbols] = {}
    action = ""
    words = _tokens(text)
    for word in words:
        if word == "action":
            action = next(words).lower()
        elif word in {"grammar", "template", "feedback"}:
            next(words)
            value = next(words)
            if word == "grammar":
                rules.update(json.loads(_uncommented(value) if action else value))
            else:
                (commands if word == "template" else answers)[action] = _symbols(value)
        elif word == "pddl":
            raise Unsupported("PDDL inside the grammar")
    parsed = {
        name: tuple(
            _Rule(_query(rule.get("condition", "")), _symbols(rule["rhs"])) for rule in alternatives
        )
        for name, alternatives in rules.items()
    }
    options = [rule for alternatives in parsed.values() for rule in alternatives]
    texts = [rule.symbols for rule in options] + [*commands.values(), *answers.values()]
    queried = {found for rule in options for found in _signatures(rule.condition)}
    queried |= {found for symbols in texts for found in predicates_in(symbols)}
    return Grammar(parsed, commands, answers, frozenset(queried))


def _tokens(text: str) -> Iterator[str]:
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise Unsupported(f"the grammar's text near {text[at : at + 20]!r}")
        at = match.end()
        if match.lastgroup:
            value = match[match.lastgroup]
            yield textwrap.dedent(value) if match.lastgroup == "block" else value


def _uncommented(block: str) -> str:
    return "\n".join(line for line in block.split("\n") if not line.lstrip().startswith("#"))


def _symbols(text: str) -> Symbols:
    text = text.lstrip()  # TextWorld takes white space at the beginning for a comment
    symbols: list[_Symbol] = []
    at = 0
    while at < len(text):
        match = _SYMBOL.match(text, at)
        if match is None:  # TextWorld drops what follows a stray bracket; one official rule has one
            break
        at = match.end()
        if match.lastgroup == "plain":
            symbols.append(match["plain"].replace("\\n", "\n"))
        elif match.lastgroup == "call":
            symbols.append(_Call(match["call"]))
        else:
            listed = match["listed"] is not None
            symbols.append(_each(match["listed"] if listed else match["each"], listed))
    return tuple(symbols)


def _each(text: str, as_list: bool) -> _Each:
    expression, _, query = text.partition("|")
    call = re.fullmatch(r"\s*#([^#]+)#\s*", expression)
    parsed = _Call(call[1]) if call else _checked(expression)
    return _Each(parsed, _query(query), as_list)


def _query(text: str) -> _Query | None:
    if not text.strip():
        return None
    predicates = []
    for part in text.split("&"):
        match = _PREDICATE.fullmatch(part)
        if match is None:
            raise Unsupported(f"the query {text!r}")
        predicates.append((match[1], tuple(_placeholder(word) for word in match[2].split(","))))
    return _Query(tuple(predicates))


def _placeholder(text: str) -> Placeholder:
    name, _, type_name = text.partition(":")
    return name.strip(), type_name.strip() or name.strip().rstrip("'")


def _checked(text: str) -> ast.expr:
    """An expression that joins attributes of things; nothing else is let through."""
    expression = ast.parse(text.strip(), mode="eval").body
    for node in ast.walk(expression):
        if isinstance(node, ast.Attribute) and node.attr not in Entity.__dataclass_fields__:
            raise Unsupported(f"the attribute {node.attr!r}")
        if not isinstance(node, _ALLOWED):
            raise Unsupported(f"the expression {text!r}")
    return expression


_ALLOWED = (
    ast.Name,
    ast.Attribute,
    ast.Constant,
    ast.BinOp,
    ast.Add,
    ast.BoolOp,
    ast.Or,
    ast.Load,
)


def _value(node: ast.expr, names: Mapping[str, Entity]) -> str:
    match node:
        case ast.Attribute(value=ast.Name(id=name), attr=attribute):
            return str(getattr(names[name], attribute))
        case ast.Name(id=name):
            return names[name].name
        case ast.Constant(value=str(text)):
            return text
        case ast.BinOp(left=left, right=right):
            return _value(left, names) + _value(right, names)
        case ast.BoolOp(values=values):
            return next((text for part in values if (text := _value(part, names))), "")
    raise Unsupported(f"the expression {ast.unparse(node)!r}")


def predicates_in(symbols: Symbols) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The predicates that a text asks for, with the types of their placeholders."""
    for symbol in symbols:
        if isinstance(symbol, _Each) and symbol.query is not None:
            yield from _signatures(symbol.query)


def _signatures(query: _Query | None) -> Iterator[tuple[str, tuple[str, ...]]]:
    for predicate, placeholders in query.predicates if query else ():
        yield predicate, tuple(type_name for _, type_name in placeholders)
