"""The work area of a job: plans, block files, publishing, losses, metrics, the base of a stage."""
