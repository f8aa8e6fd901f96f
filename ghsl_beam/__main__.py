"""`ghsl-beam`, also `python -m ghsl_beam`: prepares the process before anything else is loaded."""

# A signal waits until it is listened to: before, and within an import, Python would print a
# traceback. This module is a part of Python itself, so the current folder cannot replace it.
import _signal  # type: ignore[import-not-found]
import sys

_BEFORE = _signal.pthread_sigmask(
    _signal.SIG_BLOCK, (_signal.SIGTERM, _signal.SIGINT, _signal.SIGHUP)
)

from ghsl_beam.process.environment import (  # noqa: E402 - signals wait already
    leave_current_folder,
    open_standard_files,
)


def main() -> None:
    """Leave the current folder, listen for stop signals, and run the command line."""
    leave_current_folder()  # first: later imports could load a file from that folder
    open_standard_files()
    import signal

    from ghsl_beam.process import status, stopping

    stopping.begin()
    signal.pthread_sigmask(signal.SIG_SETMASK, _BEFORE)
    status.begin(sys.argv[1:])
    from ghsl_beam.cli.main import main as command_line

    command_line()


if __name__ == "__main__":
    main()
