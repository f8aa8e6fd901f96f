"""Pages of the documentation that are made from the program, and the hooks of MkDocs."""
