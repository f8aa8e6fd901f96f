"""What became of the mutations, by target."""

COUNTS: dict[str, dict[str, int]] = {}
