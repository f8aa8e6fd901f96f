"""For the first steps: a commented job file, and a check of the installation."""
