"""The parts of `ghsl-beam validate`: scores on arrays, and what reads and writes files for them."""
