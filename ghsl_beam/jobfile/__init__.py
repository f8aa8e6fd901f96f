"""The job file: its schema, its YAML, its periods, and its mistakes in one line."""
