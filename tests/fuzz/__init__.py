"""Damaged and hostile inputs, made at random from a seed: none may hang, crash or pass for right.

A target (`target_*.py`) makes sound inputs once (`prepare`), and for each number one mutation of
them (`case`), which it gives to the code as the job would. It is refused by a `GhslBeamError`, or
gives what the sound input gives wherever a checksum or a decoder could tell. All happens in a
process of its own, with a limit of time and memory (`watched.py`), so that a hang or crash is seen
and named.

    GHSL_BEAM_FUZZ_SEED=99 GHSL_BEAM_FUZZ_TIMES=10 pytest tests/fuzz     # other and more mutations
    python -m tests.fuzz jpeg2000 99 57                                  # one of them again
"""
