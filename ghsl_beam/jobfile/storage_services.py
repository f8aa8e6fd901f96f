"""The storage services in a job file or the environment; they change or extend the shipped ones."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any
from urllib.parse import urlsplit

from pydantic import Field, ValidationError, field_validator, model_validator

from ghsl_beam.jobfile.fields import Int, Section
from ghsl_beam.jobfile.mistakes import first_mistake
from ghsl_beam.jobfile.plain_yaml import parse_yaml
from transforms.elements import RequestError
from transforms.storage.redaction import is_secret_name, learn
from transforms.storage.services import SHIPPED, Service, Services, use
from transforms.storage.services.environment import NAME as ENVIRONMENT

VARIABLE = "GHSL_BEAM_STORAGE"
"""Variable with more services, in the form of the section `storage` of a job file."""
_NAME = re.compile(r"[a-z][a-z0-9-]{0,39}", re.A)
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,62}", re.A)
_KEYS = re.compile(r"default|anonymous|env:[A-Z][A-Z0-9_]*|profile:[\w.@+-]+", re.A)
_NO_KEY_HERE = (
    "a job file must not contain a key; put it into the environment as NAME_ACCESS_KEY_ID and "
    "NAME_SECRET_ACCESS_KEY, and write keys: env:NAME"
)


class StorageService(Section):
    """An S3 service, or changes to the shipped service of the same name."""

    buckets: tuple[str, ...] = Field(
        (), description="buckets of this service; AWS_... gives the service of all other buckets"
    )
    endpoint: str | None = Field(None, description="http or https URL; null is Amazon S3")
    region: str | None = Field(
        None, description="region in the signature of requests; null is that of the environment"
    )
    path_style: bool = Field(
        True, description="the bucket is in the path of the URL, not in the name of the host"
    )
    keys: str = Field(
        "default",
        description="where the keys are: default (as the AWS tools find them), anonymous, "
        "env:NAME (NAME_ACCESS_KEY_ID, NAME_SECRET_ACCESS_KEY, NAME_SESSION_TOKEN), or "
        "profile:NAME of ~/.aws; never a key",
    )
    requester_pays: bool = Field(
        False, description="the sender of each request agrees to pay for it"
    )
    connections: Int | None = Field(
        None, ge=1, le=10_000, description="requests at the same time, of the whole job"
    )
    requests_per_minute: Int | None = Field(
        None, ge=10, le=10_000_000, description="requests in any minute, of the whole job"
    )

    @model_validator(mode="before")
    @classmethod
    def _without_keys(cls, given: Any) -> Any:
        if isinstance(given, Mapping):
            known = cls.model_fields
            for key, value in given.items():
                if key not in known and (is_secret_name(str(key)) or "key" in str(key).lower()):
                    learn(str(value), "secret")
                    raise ValueError(f"{key!r} is not allowed; {_NO_KEY_HERE}")
        return given

    @field_validator("keys", mode="before")
    @classmethod
    def _has_no_key(cls, given: Any) -> Any:
        if isinstance(given, str) and not _KEYS.fullmatch(given):
            learn(given, "secret")  # it may be a key
            raise ValueError(
                f"expected default, anonymous, env:NAME or profile:NAME; {_NO_KEY_HERE}"
            )
        return given

    @field_validator("buckets")
    @classmethod
    def _are_names(cls, buckets: tuple[str, ...]) -> tuple[str, ...]:
        for bucket in buckets:
            if not _BUCKET.fullmatch(bucket):
                raise ValueError(f"{bucket[:80]!r} is not the name of a bucket, such as my-bucket")
        return buckets

    @field_validator("endpoint", mode="before")
    @classmethod
    def _is_an_address(cls, given: Any) -> Any:
        if not isinstance(given, str):
            return given
        learn(given)
        try:
            url = urlsplit(given)
            whole = url.scheme in ("http", "https") and url.hostname and (url.port or True)
        except ValueError:
            whole = None
        if not whole or any(c in "@?#" or c.isspace() or not c.isprintable() for c in given):
            raise ValueError("expected http://HOST or https://HOST, without user and query")
        return given


class _StorageSection(Section):
    storage: dict[str, StorageService]


def services_of(given: Mapping[str, StorageService]) -> Services:
    """The services of a job: the shipped ones, changed or extended by the given ones.

    A shipped service loses a bucket that a given service has.

    Raises:
        ValueError: a name is not allowed, a service has no bucket, or two have the same bucket.
    """
    shipped = {service.name: service for service in SHIPPED}
    known = {field.name for field in fields(Service)}
    services: dict[str, Service] = {}
    for name, section in given.items():
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name[:80]!r}: expected a name of a-z, 0-9 and -, such as my-minio")
        changes = {key: getattr(section, key) for key in section.model_fields_set & known}
        service = replace(shipped.pop(name, Service(name)), **changes, gives_way=False)
        if service.endpoint is None and "path_style" not in changes:
            service = replace(service, path_style=False)
        if name == ENVIRONMENT:
            raise ValueError(f"{name} is the name of the service of AWS_...: give another name")
        if (path := urlsplit(service.endpoint or "").path.strip("/")) in service.buckets:
            raise ValueError(f"{name}: the endpoint ends with the bucket {path}: write it without")
        if not service.buckets:
            raise ValueError(f"{name}: give its buckets: buckets: [my-bucket]")
        for other in services.values():
            if both := set(other.buckets) & set(service.buckets):
                raise ValueError(f"{other.name} and {name} both have bucket {min(both)}")
        services[name] = service
    return Services((*services.values(), *shipped.values()))


def use_those_of_environment() -> None:
    """Use the services that the environment names, for commands without a job file.

    Raises:
        RequestError: one line that names the variable, the key and what is allowed.
    """
    if section := with_those_of_environment({}):
        try:
            use(services_of(_StorageSection.model_validate({"storage": section}).storage))
        except ValidationError as error:
            raise RequestError(f"{VARIABLE}: {first_mistake(error, _StorageSection)}") from error
        except ValueError as error:
            raise RequestError(f"{VARIABLE}: {error}") from error


def with_those_of_environment(content: Mapping[str, Any]) -> dict[str, Any]:
    """A section `storage`, extended by the services of the environment; the section wins.

    Raises:
        RequestError: the variable is not a mapping.
    """
    text = os.environ.get(VARIABLE, "")
    if not text.strip():
        return dict(content)
    found = parse_yaml(text, VARIABLE)
    if not isinstance(found, dict):
        raise RequestError(f"{VARIABLE}: expected services by name, as in a job file")
    merged = dict(found)
    for name, section in content.items():
        both = isinstance(section, Mapping) and isinstance(found.get(name), Mapping)
        merged[name] = {**found[name], **section} if both else section
    return merged
