"""The S3 service that the environment names, read as by the AWS tools."""

from __future__ import annotations

import os
from functools import lru_cache
from typing import Any

from .service import Service

NAME = "environment"


def endpoint() -> str | None:
    """Address of the S3 service if it is not Amazon's; it is set as for the AWS tools."""
    address = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    return address or _configured(os.environ.get("AWS_CONFIG_FILE"), os.environ.get("AWS_PROFILE"))


@lru_cache(maxsize=4)
def _configured(file: str | None, profile: str | None) -> str | None:
    """The address in the configuration file of the AWS tools; the arguments are the cache key."""
    import botocore.exceptions
    import botocore.session

    session = botocore.session.get_session()
    try:
        scoped = session.get_scoped_config()
    except botocore.exceptions.ProfileNotFound:
        return None  # the connection itself reports this error
    services = session.full_config.get("services", {}).get(scoped.get("services"), {})
    return services.get("s3", {}).get("endpoint_url") or scoped.get("endpoint_url")


def environment() -> Service:
    """The service of the environment; it has no limits of its own."""
    address = endpoint()
    return Service(NAME, endpoint=address, path_style=bool(address))


def botocore_keys(profile: str | None = None) -> tuple[Any, str | None]:
    """The keys (None if there are none) and the region that botocore finds now.

    Raises:
        BotoCoreError: there is no such profile, or its keys cannot be obtained.
    """
    keys, region = _keys(_variables(), profile)
    return (keys.get_frozen_credentials() if keys else None), region


def certificates(profile: str | None = None) -> str | None:
    """The file of certificates that botocore trusts (AWS_CA_BUNDLE), if it is not the usual one.

    Raises:
        BotoCoreError: there is no such profile.
    """
    return _certificates(_variables(), profile)


def _variables() -> tuple[tuple[str, str], ...]:
    """The variables that botocore reads."""
    relevant = (
        item for item in os.environ.items() if item[0].startswith("AWS_") or item[0] == "HOME"
    )
    return tuple(sorted(relevant))


@lru_cache(maxsize=8)
def _keys(environment: tuple[tuple[str, str], ...], profile: str | None) -> tuple[Any, str | None]:
    """The keys and the region that belong to an environment; keys that expire renew themselves."""
    import botocore.session

    session = botocore.session.Session(profile=profile)
    return session.get_credentials(), session.get_config_variable("region")


@lru_cache(maxsize=8)
def _certificates(environment: tuple[tuple[str, str], ...], profile: str | None) -> str | None:
    import botocore.session

    found = botocore.session.Session(profile=profile).get_config_variable("ca_bundle")
    return str(found) if found else None
