"""The commands that compare the built-up of a run with a reference."""
