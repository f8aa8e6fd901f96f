"""The keys of a service: their place, errors about them, and the remedy. No message has a key."""

from __future__ import annotations

import os
from typing import NamedTuple

from transforms.elements import StorageError

from ..redaction import learn
from .environment import NAME, botocore_keys
from .service import ANONYMOUS, DEFAULT, ENV, PROFILE, Service

REFUSED = frozenset(
    {
        "ExpiredToken",
        "ExpiredTokenException",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "InvalidToken",
        "SignatureDoesNotMatch",
        "TokenRefreshRequired",
        "UnrecognizedClientException",
    }
)
"""Error codes of S3 services for keys that are wrong or too old, whatever the request is."""
_SHORTEST = 8
"""Least number of characters of a key to mask; a shorter one, such as `test`, is also a word."""


class KeysError(StorageError):
    """A service has no keys here, or refuses them.

    It is never the loss of one part of a job: nothing more can be read or written, so the job ends.
    With new keys the same command continues.
    """


class AccessKeys(NamedTuple):
    """The keys that sign requests; `token` is "" if there is none."""

    access: str
    secret: str
    token: str

    def __repr__(self) -> str:
        """A text without keys."""
        return "AccessKeys(***)"


def prefix_of(service: Service) -> str | None:
    """The prefix of the variables with its keys; None if the keys are elsewhere."""
    return service.keys.removeprefix(ENV) if service.keys.startswith(ENV) else None


def profile_of(service: Service) -> str | None:
    """The profile of the AWS tools with its keys; None if the keys are elsewhere."""
    return service.keys.removeprefix(PROFILE) if service.keys.startswith(PROFILE) else None


def has_keys(service: Service) -> bool:
    """Whether the variables of a service with `env:PREFIX` are set; True for any other."""
    prefix = prefix_of(service)
    return prefix is None or bool(os.environ.get(f"{prefix}_ACCESS_KEY_ID"))


def keys_of(service: Service, location: str) -> AccessKeys | None:
    """The keys of a service; None if requests are not signed, or `default` finds no keys.

    Raises:
        KeysError: a variable is not set, or there is no such profile or no key in it.
    """
    if service.keys == ANONYMOUS:
        return None
    if prefix := prefix_of(service):
        access, secret, token = (
            os.environ.get(f"{prefix}_{part}", "").strip()
            for part in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN")
        )
        if not (access and secret):
            raise KeysError(location, missing_reason(service))
        return _masked_from_now_on(AccessKeys(access, secret, token))
    from botocore.exceptions import BotoCoreError

    profile = profile_of(service)
    try:
        found, _ = botocore_keys(profile)
    except BotoCoreError as error:
        if profile is None:
            return None  # the connection itself reports this error
        raise KeysError(location, missing_reason(service)) from error
    if found is None:
        if profile is None:
            return None
        raise KeysError(location, missing_reason(service))
    return _masked_from_now_on(AccessKeys(found.access_key, found.secret_key, found.token or ""))


def check_form(service: Service, location: str) -> None:
    """Check the variables with the keys: a line break is a common mistake, and no key has one.

    Raises:
        KeysError: one has a space, a line break or another character that no key has.
    """
    prefix = "AWS" if service.keys == DEFAULT else prefix_of(service)
    for part in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN"):
        value = os.environ.get(f"{prefix}_{part}", "") if prefix else ""
        value = value if prefix == "AWS" else value.strip()
        if any(not "!" <= character <= "~" for character in value):
            raise KeysError(
                location,
                f"{_title(service)}: {prefix}_{part} has a space, a line break or another "
                "character that no key has; set it again without",
            )


def check_keys(service: Service, location: str) -> None:
    """Check that a service has keys.

    Raises:
        KeysError: it has none.
    """
    keys_of(service, location)


def _masked_from_now_on(keys: AccessKeys) -> AccessKeys:
    """Return the keys; from now on they are masked in all messages."""
    for value in keys:
        if len(value) >= _SHORTEST:
            learn(value, "secret")
    return keys


def missing_reason(service: Service) -> str:
    """The reason and the remedy if a service has no keys."""
    where = f", made at {service.help}" if service.help else ""
    return f"{_title(service)} has no credentials here; set {_place(service)}{where}"


def refused(error: BaseException | None) -> KeysError | None:
    """The `KeysError` among an error and its causes; None if there is none."""
    while error is not None and not isinstance(error, KeysError):
        error = error.__cause__ or error.__context__
    return error


def refused_reason(service: Service, code: str) -> str | None:
    """The reason and the remedy if a service refuses its keys; None for any other code.

    Args:
        service: the service that answered.
        code: the code of its answer, such as `ExpiredToken`.
    """
    if code not in REFUSED:
        return None
    made = f" at {service.help}" if service.help else ""
    return (
        f"{_title(service)} refuses the keys in {_place(service)} ({code}); make new ones{made}, "
        "set them for the launcher and its workers, and run the same command again: it continues "
        "from there"
    )


def _title(service: Service) -> str:
    if service.name == NAME:
        return f"the storage service of the environment ({service.endpoint or 'Amazon S3'})"
    return f"storage service {service.name}"


def _place(service: Service) -> str:
    """The place of the keys, for a person who changes them."""
    prefix, profile = prefix_of(service), profile_of(service)
    if service.keys == DEFAULT:
        prefix = "AWS"
    if profile:
        return f"profile {profile} of ~/.aws"
    if service.keys == ANONYMOUS:
        return "no place, since it is anonymous"
    more = " or ~/.aws" if service.keys == DEFAULT else ""
    return f"{prefix}_ACCESS_KEY_ID and {prefix}_SECRET_ACCESS_KEY{more}"
