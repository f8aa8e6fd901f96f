"""`ghsl-beam`, also `python -m ghsl_beam`: what must be so before anything else is loaded."""

from ghsl_beam.process.environment import leave_current_folder, open_standard_files


def main() -> None:
    """Leave the current folder, listen to the word to stop, and do what the command line says."""
    leave_current_folder()  # first: each import before it may be of a file that lies there
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
