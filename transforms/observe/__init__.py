"""Events of the processes of a run, and their sums."""
