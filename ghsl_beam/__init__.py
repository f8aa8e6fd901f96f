"""The job: command line, configuration, plan, pipeline, launch, run record and report."""
