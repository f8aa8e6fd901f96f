"""`python -m ghsl_beam`."""

from ghsl_beam.command_line import main

if __name__ == "__main__":
    main()
