"""Search as the official WebShop has it: Lucene's BM25 with its words, its arithmetic, its order.

Nothing but NumPy is needed.
"""

from metaplan.environments.webshop.search.index import SearchIndex

__all__ = ["SearchIndex"]
