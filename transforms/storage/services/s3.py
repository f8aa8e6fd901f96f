"""How s3fs reaches a service."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from .environment import NAME
from .keys import check_form, keys_of, profile_of
from .limits import count_requests
from .service import ANONYMOUS, DEFAULT, Service

_AT_A_TIME = 4
"""Parallel requests of one operation, if the service has no limits."""


def client_options(service: Service, location: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """Options of s3fs for a service.

    Args:
        service: the service of the location.
        location: for messages.
        config: further options of botocore's client, such as time-outs.

    Raises:
        KeysError: the service has no keys here.
    """
    check_form(service, location)
    settings = dict(config)
    options: dict[str, Any] = {
        "endpoint_url": service.endpoint,
        "config_kwargs": settings,
        "max_concurrency": 1 if service.limited else _AT_A_TIME,
    }
    if service.name != NAME and service.endpoint is None:
        # The environment may name another service.
        settings["ignore_configured_endpoint_urls"] = True
    if service.endpoint:
        settings["s3"] = {"addressing_style": "path" if service.path_style else "virtual"}
    if service.region:
        options["client_kwargs"] = {"region_name": service.region}
    if service.requester_pays:
        options["requester_pays"] = True
    profile = profile_of(service)
    if service.keys == ANONYMOUS:
        options["anon"] = True
    elif service.keys == DEFAULT:
        pass  # keys that expire renew themselves there
    elif (keys := keys_of(service, location)) and profile is None:
        options |= {"key": keys.access, "secret": keys.secret, "token": keys.token or None}
    if service.limited:
        options["session"] = _counted_session(service, profile, os.getpid())
    elif profile is not None:
        options["profile"] = profile
    return options


@lru_cache(maxsize=16)
def _counted_session(service: Service, profile: str | None, process: int) -> Any:
    """A session whose clients count each request that they send, retries and pages too."""
    from aiobotocore.session import AioSession  # type: ignore[import-untyped]

    session = AioSession(profile=profile)
    session.register("before-send.s3", count_requests(service))
    return session
