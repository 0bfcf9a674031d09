"""The engine for models whose keys and values can't be kept: each batch from start to end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from metaplan.models.local.drawing import Drawer
from metaplan.models.local.row import Finisher, Row

if TYPE_CHECKING:
    import torch

__all__ = ["PlainEngine"]


class PlainEngine:
    """Generates what has been added, padded to one length, in one step; any kind of model.

    Args:
        model: A causal language model.
        drawer: Draws tokens.
        finisher: Ends rows.
        max_batch: Most rows at a time.
    """

    # Requests that coroutines make "at once" arrive some microseconds apart.
    gather_s = 0.005

    def __init__(self, model: Any, drawer: Drawer, finisher: Finisher, *, max_batch: int) -> None:
        self._model = model
        self._drawer = drawer
        self._finisher = finisher
        self._max_batch = max_batch
        self._rows: list[Row] = []

    @property
    def rows(self) -> Sequence[Row]:
        """Given and not yet ended."""
        return self._rows

    @property
    def room(self) -> int:
        """How many more rows it takes now."""
        return self._max_batch - len(self._rows)

    def add(self, row: Row) -> None:
        """Takes a row up."""
        self._rows.append(row)

    def drop(self) -> None:
        """Forgets all rows."""
        self._rows = []

    def step(self) -> None:
        """Generates all rows to their ends."""
        self._generate([row for row in self._rows if not row.future.cancelled()])
        self._rows = []

    def _generate(self, rows: list[Row]) -> None:
        """Generates all rows to their ends, one token of each at a time."""
        import torch

        if not rows:
            return
        prompts = list(dict.fromkeys(row.prompt for row in rows))  # n samples share one
        gaps = [max(map(len, prompts)) - len(prompt) for prompt in prompts]
        # Padding stands on the left and is masked out: any token will do.
        tokens = [[0] * gap + [*prompt] for gap, prompt in zip(gaps, prompts, strict=True)]
        shown = [[0] * gap + [1] * len(prompt) for gap, prompt in zip(gaps, prompts, strict=True)]
        mask = torch.tensor(shown, device=self._model.device)
        logits, cache = self._forward(tokens, mask, None)
        going = [prompts.index(row.prompt) for row in rows]
        cache.batch_select_indices(torch.tensor(going, device=mask.device))
        logits, mask = logits[going], mask[going]
        while True:
            drawn = self._drawer.draw(logits, [(row, ()) for row in rows])
            for row, token in zip(rows, drawn, strict=True):
                row.tokens.append(token)
            going = [at for at, row in enumerate(rows) if not self._finisher.finish(row)]
            if not going:
                return
            if len(going) < len(rows):
                cache.batch_select_indices(torch.tensor(going, device=mask.device))
                rows, mask = [rows[at] for at in going], mask[going]
            mask = torch.cat([mask, mask.new_ones((len(rows), 1))], dim=1)
            logits, cache = self._forward([row.tokens[-1:] for row in rows], mask, cache)

    def _forward(
        self, tokens: list[list[int]], mask: torch.Tensor, cache: Any
    ) -> tuple[torch.Tensor, Any]:
        """Logits of each row's next token (rows by vocabulary, float32) and the grown cache."""
        import torch

        new = torch.tensor(tokens, device=mask.device)
        with torch.inference_mode():
            output = self._model(
                input_ids=new,
                attention_mask=mask,
                position_ids=(mask.cumsum(-1) - 1).clamp(min=0)[:, -new.shape[1] :],
                past_key_values=cache,
                use_cache=True,
                logits_to_keep=1,
            )
            return output.logits[:, -1].float(), output.past_key_values
