"""Files on local paths and object storage: `reading`, `writing` and `listing`; see `storage.py`."""
