"""Programs that measure the job; each ends with one line `result: key=value ...`."""
