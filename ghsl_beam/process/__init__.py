"""The process as a whole: its environment, signals and standard streams."""
