"""The work area of a job: plans, block files, publishing, losses, metrics, base of the stages."""
