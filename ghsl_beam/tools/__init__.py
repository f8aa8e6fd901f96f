"""Tools for a finished run: validation with a reference, and training of models."""
