"""Profiles: named sets of Beam options, one for each kind of cluster (`runner_profiles/*.yaml`)."""

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
    """The profiles in the package."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def options(profile: str) -> dict[str, Any]:
    """The Beam options of a profile, by name.

    Args:
        profile: one of `names`, or the path of your own YAML file: a mapping of option names to a
            text, a whole number, true (the option without value), false or null (left out), or a
            list (the option once for each item).

    Raises:
        RequestError: there is no such profile, or it is not such a mapping.
    """
    file = FOLDER / f"{profile}.yaml" if profile in names() else Path(profile)
    if not file.is_file():
        raise RequestError(
            f"--profile {profile}: expected one of {', '.join(names())}, or a file that exists"
        )
    try:
        mapping = parse_yaml(file.read_text(encoding="utf-8"), str(file))
    except (OSError, UnicodeDecodeError) as error:
        raise RequestError(f"{file}: cannot read the profile: {error}") from error
    if not isinstance(mapping, dict):
        raise RequestError(f"{file}: expected a mapping of Beam options")
    for name, value in mapping.items():
        if not isinstance(name, str) or not _OPTION.fullmatch(name):
            raise RequestError(f"{file}: {name!r}: expected the name of a Beam option")
        if any(isinstance(one, float) for one in _values(value)):
            # YAML has already read 1.20 as 1.2.
            message = f"{file}: {name} has a number without quotes ({value!r}): write it in quotes"
            raise RequestError(message)
        if not all(isinstance(one, str | int) for one in _values(value)):
            raise RequestError(f"{file}: {name}: expected a text, a number, true, false or a list")
    return mapping


def arguments(profile: str, given: Sequence[str]) -> list[str]:
    """The options of a profile as arguments, followed by those of the command line.

    An option of the command line replaces all values of the same option in the profile.
    `environment_type` also replaces `environment_config`, whose meaning depends on the type.

    Raises:
        RequestError: as in `options`.
    """
    over = {option_name(argument) for argument in given if argument.startswith("--")}
    mapping = options(profile)
    if "environment_type" in over:
        over.add("environment_config")
    return [
        *(
            f"--{name}" if one is True else f"--{name}={one}"
            for name, value in mapping.items()
            if option_name(f"--{name}") not in over
            for one in _values(value)
        ),
        *given,
    ]


def _values(value: Any) -> Iterable[Any]:
    if value is None or value is False:
        return ()
    return value if isinstance(value, list) else (value,)
