"""The scenes of a job: the catalogue that names them, which are chosen, how they are reached."""
