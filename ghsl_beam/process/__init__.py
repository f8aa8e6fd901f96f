"""What holds for the process as a whole: its environment, signals and standard streams."""
