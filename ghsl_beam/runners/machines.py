"""The number of machines of a job by its runner options; they share the limits of services."""

from __future__ import annotations

from apache_beam.options.pipeline_options import (
    FlinkRunnerOptions,
    PipelineOptions,
    PortableOptions,
    StandardOptions,
)

from ghsl_beam.runners.beam_options import ClusterOptions

_ON_THIS_MACHINE = ("LOOPBACK", "SUBPROCESS_SDK")
_APART = "DOCKER"
"""Kinds of workers without a shared temporary folder, even on one machine."""


def machines(options: PipelineOptions) -> int | None:
    """Largest number of machines that work for the job at the same time; None if it is unknown.

    All processes of a machine share its temporary folder. A TaskManager of Flink has at least one
    of the job's slots, so there are no more TaskManagers than the parallelism.
    """
    given: int | None = options.view_as(ClusterOptions).worker_machines
    if given:
        return given
    portable = options.view_as(PortableOptions)
    environment = (portable.environment_type or "").upper()
    if options.view_as(StandardOptions).runner == "DirectRunner" or environment in _ON_THIS_MACHINE:
        return 1
    parallelism: int = options.view_as(FlinkRunnerOptions).parallelism or 0
    given_processes = str(portable.sdk_worker_parallelism)
    processes = int(given_processes) if given_processes.isdecimal() else 0
    if options.view_as(StandardOptions).runner == "SparkRunner" or parallelism < 1:
        return None
    if environment in (_APART, ""):  # Docker is the default of Beam
        return parallelism * processes if processes > 0 else None
    return parallelism
