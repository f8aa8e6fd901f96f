"""Every Beam worker process imports this module at its start; it makes log records structured.

Beam imports it on any runner (option `beam_plugins`, see `tell_workers`). Beam's handler in the
worker sends records to the runner. This module gives the handler a format that includes tile and
block and masks credentials. Imported in another process, it does nothing.
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
    """JSON with the traceback in it; Beam's handler would add the traceback again, unmasked."""

    def format(self, record: logging.LogRecord) -> str:
        """The line of a record."""
        line = super().format(record)
        record.exc_info = None
        return line


def tell_workers(options: PipelineOptions) -> ExtendedProvisionInfo:
    """Set options so that workers import this module, and log from the level of this process on.

    Returns:
        The same options for the DirectRunner, which does not pass options to its workers.
    """
    setup, worker = options.view_as(SetupOptions), options.view_as(WorkerOptions)
    setup.beam_plugins = [*(setup.beam_plugins or ()), __name__]
    if worker.default_sdk_harness_log_level is None:
        level = logging.getLogger("ghsl_beam").getEffectiveLevel()
        # The only spelling that Beam's Java also knows.
        worker.default_sdk_harness_log_level = logging.getLevelName(level).replace(
            "WARNING", "WARN"
        )
    worker_options = {
        "beam_plugins": setup.beam_plugins,
        "default_sdk_harness_log_level": worker.default_sdk_harness_log_level,
    }
    return ExtendedProvisionInfo(
        beam_provision_api_pb2.ProvisionInfo(pipeline_options=dict_to_struct(worker_options))
    )


def _set_up() -> None:
    root = logging.getLogger()
    ours = [h for h in root.handlers if isinstance(h, FnApiLogRecordHandler)]
    if not ours:
        return
    limit_libraries()
    for handler in set(root.handlers).difference(ours):
        root.removeHandler(handler)  # handlers of other imports would log twice
    for handler in ours:
        handler.setFormatter(WorkerFormatter(as_json=True))
    level = logging.getLevelName(root.level).lower()
    logging.captureWarnings(True)
    set_levels(LogLevel(level) if level in set(LogLevel) else LogLevel.INFO)


_set_up()
