"""The job file: its schema, its YAML, its periods, and its errors in one line."""
