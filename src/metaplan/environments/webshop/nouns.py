"""Which words of a product's title name what it is: the nouns, for the reward's type.

The official implementation takes them from spaCy's small English model. Where that is installed,
so do we; otherwise words are told by lists and endings, as `RuleTagger` describes. A run's
environment fingerprint names the one that ran.
"""

from __future__ import annotations

import importlib.util
import re
from functools import cache, lru_cache
from typing import Any, Protocol

from metaplan.environments.texts import packaged_text

__all__ = ["NounTagger", "RuleTagger", "SpacyTagger", "choose_tagger"]

SPACY_MODEL = "en_core_web_sm"
"""The model of the official implementation."""

_PACKAGE = __name__.rpartition(".")[0]
_NOUN_TAGS = frozenset({"NOUN", "PROPN"})
# As spaCy cuts: words and numbers, with what apostrophes, dots between letters, and "&" hold
# together; hyphens and slashes separate.
_TOKEN = re.compile(r"[^\W_]+(?:[.'’&][^\W_]+)*")
_POSSESSIVE = re.compile(r"['’]s?$")


class NounTagger(Protocol):
    """Finds the nouns of a title."""

    @property
    def name(self) -> str:
        """Which tagger, in which version."""

    def nouns(self, title: str) -> tuple[str, ...]:
        """Its nouns and names in lower case, in their order; repeated ones are repeated."""


class RuleTagger:
    """Nouns without a model: every word that is not known to be something else.

    Product titles are mostly nouns and names. What is left out: function words, adjectives and
    verbs that are frequent in titles (``words/not_nouns.txt``), words in -ly, and numbers, also
    with a unit ("16oz"). Model numbers ("C340") stay: spaCy takes them for names.
    """

    name = "rules-1"

    def nouns(self, title: str) -> tuple[str, ...]:
        """See `NounTagger.nouns`."""
        return _nouns_by_rule(title)


@lru_cache(maxsize=1 << 14)
def _nouns_by_rule(title: str) -> tuple[str, ...]:
    words = (_POSSESSIVE.sub("", token) for token in _TOKEN.findall(title.lower()))
    return tuple(word for word in words if _may_be_noun(word))


def _may_be_noun(word: str) -> bool:
    if not word or word[0].isdigit() or not any(letter.isalpha() for letter in word):
        return False
    return word not in _not_nouns() and not (len(word) > 4 and word.endswith("ly"))


@cache
def _not_nouns() -> frozenset[str]:
    return frozenset(packaged_text(_PACKAGE, "words", "not_nouns").split())


class SpacyTagger:
    """The nouns that spaCy's model finds.

    Args:
        model: A loaded spaCy pipeline.
    """

    def __init__(self, model: Any) -> None:
        self._model = model
        self.name = f"spacy-{model.meta['lang']}_{model.meta['name']}-{model.meta['version']}"

    def nouns(self, title: str) -> tuple[str, ...]:
        """See `NounTagger.nouns`."""
        return tuple(token.text.lower() for token in self._model(title) if token.pos_ in _NOUN_TAGS)


@cache
def choose_tagger() -> NounTagger:
    """SpaCy's model where it is installed, else rules."""
    if importlib.util.find_spec("spacy") is None or importlib.util.find_spec(SPACY_MODEL) is None:
        return RuleTagger()
    import spacy

    return SpacyTagger(spacy.load(SPACY_MODEL))
