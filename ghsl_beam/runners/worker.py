"""What a Beam worker process imports when it starts: its log records become structured.

Beam imports this module in every worker process (option `beam_plugins`, see `tell_workers`), on
any runner. There its handler sends records to the runner; here it is given the format in which
tile and block travel and credentials are masked. Imported elsewhere it does nothing.
"""

from __future__ import annotations

import logging

from apache_beam.options.pipeline_options import PipelineOptions, SetupOptions, WorkerOptions
from apache_beam.portability.api import beam_provision_api_pb2
from apache_beam.runners.job.utils import dict_to_struct
from apache_beam.runners.portability.fn_api_runner.fn_runner import ExtendedProvisionInfo
from apache_beam.runners.worker.log_handler import FnApiLogRecordHandler

from ghsl_beam.observing.logs import LogLevel, StructuredFormatter, set_levels
from ghsl_beam.process.environment import limit_libraries


class WorkerFormatter(StructuredFormatter):
    """JSON; the traceback stays in it alone, for Beam's handler would add it unmasked."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        line = super().format(record)
        record.exc_info = None
        return line


def tell_workers(options: PipelineOptions) -> ExtendedProvisionInfo:
    """Set the options by which workers import this module and log from this process's level on.

    Returns the same for the DirectRunner, which by itself hands no options to its workers.
    """
    setup, worker = options.view_as(SetupOptions), options.view_as(WorkerOptions)
    setup.beam_plugins = [*(setup.beam_plugins or ()), __name__]
    if worker.default_sdk_harness_log_level is None:
        level = logging.getLogger("ghsl_beam").getEffectiveLevel()
        # The one spelling that Beam's Java knows too.
        worker.default_sdk_harness_log_level = logging.getLevelName(level).replace(
            "WARNING", "WARN"
        )
    told = {
        "beam_plugins": setup.beam_plugins,
        "default_sdk_harness_log_level": worker.default_sdk_harness_log_level,
    }
    return ExtendedProvisionInfo(
        beam_provision_api_pb2.ProvisionInfo(pipeline_options=dict_to_struct(told))
    )


def _set_up() -> None:
    root = logging.getLogger()
    ours = [h for h in root.handlers if isinstance(h, FnApiLogRecordHandler)]
    if not ours:
        return
    limit_libraries()
    for handler in set(root.handlers).difference(ours):
        root.removeHandler(handler)  # what some import added would say everything twice
    for handler in ours:
        handler.setFormatter(WorkerFormatter(as_json=True))
    level = logging.getLevelName(root.level).lower()
    logging.captureWarnings(True)
    set_levels(LogLevel(level) if level in set(LogLevel) else LogLevel.INFO)


_set_up()
