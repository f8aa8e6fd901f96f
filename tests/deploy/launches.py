"""The commands that schedulers and manifests launch, as the command line takes them."""

import typer

from ghsl_beam.cli.main import app
from ghsl_beam.runners import beam_options


def taken(arguments):
    """Command and job file of a launch; fails where an option is not one of ours or of Beam's."""
    command, *rest = arguments
    own = typer.main.get_command(app).commands[command]
    context = own.make_context(command, list(rest), resilient_parsing=False)
    beam_options.parsed(context.args)
    unknown = [a for a in context.args if a.startswith("--") and not beam_options.is_known(a)]
    assert not unknown
    return command, str(context.params["job_file"])
