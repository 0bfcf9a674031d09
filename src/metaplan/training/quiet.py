"""Keeps the training libraries' progress bars off the terminal; warnings still pass."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["quiet"]


@contextmanager
def quiet() -> Iterator[None]:
    """Hides progress bars and advice inside the block and restores them after it."""
    import datasets
    from transformers.utils import logging

    verbosity = logging.get_verbosity()
    bars_of_models = logging.is_progress_bar_enabled()
    bars_of_trl = os.environ.get("TQDM_DISABLE")
    bars_of_datasets = not datasets.are_progress_bars_disabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    datasets.disable_progress_bars()
    os.environ["TQDM_DISABLE"] = "1"  # TRL's only switch
    try:
        with warnings.catch_warnings():
            # TRL and PEFT use the name, which transformers is about to change.
            warnings.filterwarnings(
                "ignore", message="`(is_)?gradient_checkpointing`", category=FutureWarning
            )
            yield
    finally:
        if bars_of_trl is None:
            del os.environ["TQDM_DISABLE"]
        else:
            os.environ["TQDM_DISABLE"] = bars_of_trl
        logging.set_verbosity(verbosity)
        if bars_of_models:
            logging.enable_progress_bar()
        if bars_of_datasets:
            datasets.enable_progress_bars()
