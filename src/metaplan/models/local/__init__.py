"""A small causal language model in this process, behind the `ChatModel` contract.

`LocalModel` (`model`) tokenises, queues and answers; its worker thread generates with one of two
engines: `PackedEngine` (`packed`), which keeps the keys and values of every conversation between
its turns (`cache`), or, for a kind of model that this can't be done with, `PlainEngine` (`plain`).
"""

from metaplan.models.local.loading import weights_digest
from metaplan.models.local.model import LocalModel

__all__ = ["LocalModel", "weights_digest"]
