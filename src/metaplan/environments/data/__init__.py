"""Where benchmark data lies, how it gets there, and what is known about it.

Data is looked for in the data directory, and where a benchmark's own downloader puts it, but never
anywhere else: game files are programs to TextWorld, so only those are opened that the user has put
(or fetched) there. Files stay as they are; archives are unpacked once into the cache.

A benchmark brings its files and its checks in its own record: `Benchmark.data`.
"""

from metaplan.environments.data.directories import cache_directory, data_directory
from metaplan.environments.data.fetching import damage, fetch, fetch_all
from metaplan.environments.data.records import BenchmarkData, DataReport, DataSource
from metaplan.environments.data.unpacking import unpacked

__all__ = [
    "BenchmarkData",
    "DataReport",
    "DataSource",
    "cache_directory",
    "damage",
    "data_directory",
    "fetch",
    "fetch_all",
    "unpacked",
]
