"""What a run will take: the calibration, the estimate and the summary of a plan."""
