"""What people see of a run: logs, the log file, events and progress."""
