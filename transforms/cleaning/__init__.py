"""The cleaning stage."""
