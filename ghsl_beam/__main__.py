"""`ghsl-beam`, also `python -m ghsl_beam`: what must be so before anything else is loaded."""

from ghsl_beam import environment, stopping


def main() -> None:
    """Listen to the word to stop, leave the current folder, and do what the command line says."""
    environment.open_standard_files()
    stopping.begin()
    environment.leave_current_folder()
    from ghsl_beam import command_line

    command_line.main()


if __name__ == "__main__":
    main()
