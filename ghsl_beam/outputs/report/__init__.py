"""The report of a run: one HTML page that needs no other file."""

from ghsl_beam.outputs.stored_record import MAX_RECORD_BYTES

from .page import write_report
from .progress import last_events

__all__ = ["MAX_RECORD_BYTES", "last_events", "write_report"]
