"""The cache of archive files: whole files, bounded, shared by processes and jobs.

`access.py` is what a stage gets, `cache.py` keeps the folder, `entries.py` knows its names,
`locks.py` its locks, `downloading.py` gets a file by one request, `checksums.py` compares it.
"""

from .access import DIRECT, Access
from .cache import Cache, CacheError

__all__ = ["DIRECT", "Access", "Cache", "CacheError"]
