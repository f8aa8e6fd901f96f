"""The job: command line, plan, pipeline, launch, run record and report.

`load_job`, `make_plan` and `run` are for Python what `ghsl-beam` is for the shell:

    job = ghsl_beam.load_job("job.yaml", output="out")
    plan = ghsl_beam.make_plan(job)
    record = ghsl_beam.run(job)

This module imports nothing: it is loaded before the process leaves the current folder.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from os import PathLike
    from typing import Any

    from ghsl_beam.jobfile.configuration import Job
    from ghsl_beam.outputs.record_schema import RunRecord
    from ghsl_beam.planning.plan import JobPlan

__all__ = ["__version__", "load_job", "make_plan", "run"]
__version__ = "0.1.0"


def load_job(path_or_mapping: "str | PathLike[str] | Mapping[str, Any]", **changes: "Any") -> "Job":
    """Read and validate a job.

    Args:
        path_or_mapping: A job file, or its content. Relative locations count from the folder of the
            file, or from the current folder if a mapping is given.
        **changes: Keys of the job file with their new values, as `--set` changes them. A key may be
            a path: `**{"period.start": "2018-05-01"}`. A relative `output` counts from the current
            folder.

    Returns:
        The configuration of the job.

    Raises:
        RequestError: The job is wrong. The error names the key, the value and what is allowed.
    """
    from ghsl_beam.jobfile.configuration import make_job

    return make_job(path_or_mapping, changes)


def make_plan(job: "Job", *, verify: bool = False) -> "JobPlan":
    """Plan a job: find its tiles, scenes and models, and the products that exist.

    Args:
        job: A configuration that `load_job` returns.
        verify: Compare the scenes with the checksums in their `manifest.safe`.

    Returns:
        The plan. A plan only reads; it writes nothing.

    Raises:
        RequestError: The job asks for something that does not exist.
    """
    from ghsl_beam.planning.plan import make_plan

    return make_plan(job, verify=verify)


def run(
    job: "Job",
    beam_options: "Sequence[str]" = (),
    *,
    profile: "str | None" = None,
    verify: bool = False,
) -> "RunRecord":
    """Run a job. Products that exist and are up to date are not made again.

    Args:
        job: A configuration that `load_job` returns.
        beam_options: Options of Beam, as on the command line: `["--direct_num_workers=4"]`.
        profile: A set of Beam options: `flink`, `spark`, `local`, or the path of a YAML file.
        verify: Read every product that exists, and make again those whose content has changed.

    Returns:
        The run record, which is also written as `run.json`. Its `exit_code` is 0 if the run is
        whole and 3 if something is lost.

    Raises:
        GhslBeamError: The run cannot begin, or it fails.
    """
    from ghsl_beam.runners.profiles import arguments
    from ghsl_beam.running.launch import run

    return run(job, arguments(profile, beam_options) if profile else beam_options, verify=verify)
