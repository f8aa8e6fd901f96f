"""Profiles: named sets of Beam options, one a kind of cluster (`runner_profiles/*.yaml`)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from ghsl_beam.jobfile.plain_yaml import parse_yaml
from ghsl_beam.runners.beam_options import option_name
from transforms.elements import RequestError

FOLDER = Path(__file__).with_name("runner_profiles")
_OPTION = re.compile(r"[a-z][a-z0-9_]*")


def names() -> list[str]:
    """The profiles that come with the package."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def options(profile: str) -> dict[str, Any]:
    """Beam options of a profile, by name.

    Args:
        profile: one of `names`, or the path of a YAML file of one's own: a mapping of option
            names to a text, a whole number, true (the option alone), false or null (not given), or
            a list (given once for each).

    Raises:
        RequestError: there is no such profile, or it is not such a mapping.
    """
    file = FOLDER / f"{profile}.yaml" if profile in names() else Path(profile)
    if not file.is_file():
        raise RequestError(
            f"--profile {profile}: neither one of {', '.join(names())} nor a file that exists"
        )
    try:
        found = parse_yaml(file.read_text(encoding="utf-8"), str(file))
    except (OSError, UnicodeDecodeError) as error:
        raise RequestError(f"{file}: cannot read the profile: {error}") from error
    if not isinstance(found, dict):
        raise RequestError(f"{file}: expected a mapping of Beam options")
    for name, value in found.items():
        if not isinstance(name, str) or not _OPTION.fullmatch(name):
            raise RequestError(f"{file}: {name!r}: expected the name of a Beam option")
        if any(isinstance(one, float) for one in _values(value)):
            # YAML has read 1.20 as 1.2 by now.
            raise RequestError(f"{file}: {name}: {value!r}: write it in quotes, as a text")
        if not all(isinstance(one, str | int) for one in _values(value)):
            raise RequestError(f"{file}: {name}: expected a text, a number, true, false or a list")
    return found


def arguments(profile: str, given: Sequence[str]) -> list[str]:
    """A profile's options as arguments, then those given on the command line.

    What is given replaces all that the profile says of the same option; `environment_type` replaces
    `environment_config` too, which means something else for each type.

    Raises:
        RequestError: see `options`.
    """
    over = {option_name(argument) for argument in given if argument.startswith("--")}
    found = options(profile)
    if "environment_type" in over:
        over.add("environment_config")
    return [
        *(
            f"--{name}" if one is True else f"--{name}={one}"
            for name, value in found.items()
            if option_name(f"--{name}") not in over
            for one in _values(value)
        ),
        *given,
    ]


def _values(value: Any) -> Iterable[Any]:
    if value is None or value is False:
        return ()
    return value if isinstance(value, list) else (value,)
