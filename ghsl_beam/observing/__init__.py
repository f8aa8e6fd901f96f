"""What a person sees of a run: logs, the log file, events and progress."""
