"""`ghsl-beam`, also `python -m ghsl_beam`: prepares the process before anything else is loaded."""

from ghsl_beam.process.environment import leave_current_folder, open_standard_files


def main() -> None:
    """Leave the current folder, listen for stop signals, and run the command line."""
    leave_current_folder()  # first: later imports could load a file from that folder
    open_standard_files()
    import signal

    # A signal waits until it is listened to: within an import Python would print a traceback.
    words = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, words)
    from ghsl_beam.process import stopping

    stopping.begin()
    signal.pthread_sigmask(signal.SIG_SETMASK, before)
    from ghsl_beam.cli.main import main as command_line

    command_line()


if __name__ == "__main__":
    main()
