"""The scenes of a job: the catalogue that names them, the choice, and the access to their files."""
