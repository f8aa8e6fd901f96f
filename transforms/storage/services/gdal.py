"""How GDAL reaches a service."""

from __future__ import annotations

from urllib.parse import urlsplit

from .environment import NAME, botocore_keys, certificates
from .keys import keys_of, profile_of
from .service import ANONYMOUS, Service

_AMAZON = "s3.amazonaws.com"


def gdal_options(service: Service) -> dict[str, str]:
    """GDAL options for the address of a service."""
    options = {}
    if service.endpoint:
        url = urlsplit(service.endpoint)
        options = {
            "AWS_S3_ENDPOINT": f"{url.netloc}{url.path}".rstrip("/"),
            "AWS_HTTPS": "NO" if url.scheme == "http" else "YES",
            "AWS_VIRTUAL_HOSTING": "FALSE" if service.path_style else "TRUE",
        }
    elif service.name != NAME:  # the environment may name another service
        options = {"AWS_S3_ENDPOINT": _AMAZON, "AWS_HTTPS": "YES", "AWS_VIRTUAL_HOSTING": "TRUE"}
    if service.requester_pays:
        options["AWS_REQUEST_PAYER"] = "requester"
    return options


def credential_options(service: Service, location: str) -> dict[str, str]:
    """Keys, region and certificates, as GDAL options: the same ones that s3fs finds.

    GDAL itself looks in fewer places. Keys that expire are renewed in time.

    Raises:
        KeysError: the service has no keys here.
    """
    from botocore.exceptions import BotoCoreError

    keys = keys_of(service, location)
    profile = profile_of(service)
    try:
        region = service.region or botocore_keys(profile)[1]
        trusted = certificates(profile)
    except BotoCoreError:
        region, trusted = service.region, None  # the connection itself reports this error
    options = {"AWS_REGION": region} if region else {}
    if trusted:
        options["GDAL_CURL_CA_BUNDLE"] = trusted
    if keys:
        options |= {"AWS_ACCESS_KEY_ID": keys.access, "AWS_SECRET_ACCESS_KEY": keys.secret}
        if keys.token:
            options["AWS_SESSION_TOKEN"] = keys.token
    if service.name != NAME:
        # The values in the environment belong to another service.
        options.setdefault("AWS_SESSION_TOKEN", "")
        options["AWS_NO_SIGN_REQUEST"] = "YES" if service.keys == ANONYMOUS else "NO"
    return options
