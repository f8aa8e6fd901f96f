"""How many machines a runner's options let a job work on: they share the limits of a service."""

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
"""Workers that share no temporary folder, though they may be on one machine."""


def machines(options: PipelineOptions) -> int | None:
    """Machines that may work for the job at the same time, at most; None where nothing tells.

    All processes of a machine share what is in its temporary folder. A TaskManager of Flink has at
    least one of the job's slots, so there are no more of them than the parallelism.
    """
    given: int | None = options.view_as(ClusterOptions).worker_machines
    if given:
        return given
    portable = options.view_as(PortableOptions)
    environment = (portable.environment_type or "").upper()
    if options.view_as(StandardOptions).runner == "DirectRunner" or environment in _ON_THIS_MACHINE:
        return 1
    parallelism: int = options.view_as(FlinkRunnerOptions).parallelism or 0
    told = str(portable.sdk_worker_parallelism)
    processes = int(told) if told.isdecimal() else 0
    if options.view_as(StandardOptions).runner == "SparkRunner" or parallelism < 1:
        return None
    if environment in (_APART, ""):  # Docker is Beam's own choice
        return parallelism * processes if processes > 0 else None
    return parallelism
