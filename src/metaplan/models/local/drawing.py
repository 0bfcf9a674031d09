"""How the tokens of completions are drawn."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from metaplan.core import END_MARKS, ends_that_repeat
from metaplan.models.local.row import Row, TokenTexts

if TYPE_CHECKING:
    import torch

__all__ = ["Drawer"]


class Drawer:
    """Draws tokens, as the sampling of each row says.

    Args:
        tokenizer: Of the model.
    """

    def __init__(self, tokenizer: Any) -> None:
        self._vocabulary = range(len(tokenizer))
        self._texts = TokenTexts(tokenizer)

    def draw(self, logits: torch.Tensor, wanted: Sequence[tuple[Row, Sequence[int]]]) -> list[int]:
        """Tokens: the likeliest at temperature 0, else by inverting the cumulated probabilities.

        Args:
            logits: Tokens by vocabulary, float32.
            wanted: Of each token, its row, and what the row says before it beyond `Row.tokens`.
        """
        import torch

        logits = self._without_repeats(logits, wanted)
        best: list[int] = logits.argmax(-1).tolist()
        warm = [at for at, (row, _) in enumerate(wanted) if row.sampling.temperature > 0]
        if not warm:
            return best
        numbers = [
            (row.sampling.temperature, row.sampling.top_p, row.number(len(row.tokens) + len(ahead)))
            for row, ahead in (wanted[at] for at in warm)
        ]
        columns = torch.tensor(numbers, dtype=torch.float64, device=logits.device)
        temperature, nucleus, dice = columns.T.unsqueeze(-1)
        likely = (logits[warm].double() / temperature).softmax(-1)
        if any(top_p < 1 for _, top_p, _ in numbers):
            likely = _nucleus(likely, nucleus)
        mass = likely.cumsum(-1)
        drawn = torch.searchsorted(mass, dice * mass[:, -1:], right=True)
        for at, token in zip(warm, drawn.flatten().tolist(), strict=True):
            best[at] = min(token, logits.shape[-1] - 1)
        return best

    def _without_repeats(
        self, logits: torch.Tensor, wanted: Sequence[tuple[Row, Sequence[int]]]
    ) -> torch.Tensor:
        """Logits that rule out what would repeat a step, in rows that are to say each once."""
        forbidden = {
            at: tokens
            for at, (row, ahead) in enumerate(wanted)
            if row.sampling.distinct_steps and (tokens := self._that_repeat([*row.tokens, *ahead]))
        }
        if forbidden:
            logits = logits.clone()
            for at, tokens in forbidden.items():
                logits[at, tokens] = float("-inf")
        return logits

    def _that_repeat(self, said: Sequence[int]) -> list[int]:
        """Tokens that complete a repeated step; where that takes several, it is let pass."""
        beginning = "".join(self._texts[token] for token in said)
        return [token for end in ends_that_repeat(beginning) for token in self._tokens.get(end, ())]

    @cached_property
    def _tokens(self) -> dict[str, list[int]]:
        """The tokens that say a word, with whatever marks after it."""
        tokens: defaultdict[str, list[int]] = defaultdict(list)
        for token in self._vocabulary:
            tokens[self._texts[token].rstrip(END_MARKS)].append(token)
        return tokens


def _nucleus(likely: torch.Tensor, nucleus: torch.Tensor) -> torch.Tensor:
    """Probabilities with those outside each row's nucleus set to 0.

    A token is in the nucleus while the likelier ones don't yet fill it.
    """
    ordered = likely.sort(dim=-1, descending=True).values
    outside = (ordered.cumsum(-1) - ordered >= nucleus) & (nucleus < 1)
    least = ordered.masked_fill(outside, 1.0).amin(-1, keepdim=True)
    return likely.masked_fill(likely < least, 0.0)
