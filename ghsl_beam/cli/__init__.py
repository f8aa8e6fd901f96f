"""What a person types: one file for each group of commands."""
