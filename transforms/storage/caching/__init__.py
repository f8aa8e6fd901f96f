"""The cache of archive files: whole files, of limited size, shared by processes and jobs.

A stage gets an `Access` (`access.py`). `cache.py` manages the folder, `entries.py` the names in it,
and `locks.py` the locks. `downloading.py` fetches a file with one request, and `checksums.py`
compares its checksum.
"""

from .access import DIRECT, Access
from .cache import Cache, CacheError

__all__ = ["DIRECT", "Access", "Cache", "CacheError"]
