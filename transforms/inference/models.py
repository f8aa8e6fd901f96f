"""The model store: a folder or URL of weight files, one per grid zone."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from transforms.elements import RequestError, StorageError
from transforms.storage.remote import Unavailable, is_http, url_exists
from transforms.storage.storage import is_url, join, listing, masked

from .zones import BANDS, nearest, normal, zone_bounds

ERROR = "error"
NEAREST = "nearest"


@dataclass(frozen=True, slots=True)
class ZoneModel:
    """The model that a grid zone is predicted with: its own, or that of zone `of` instead."""

    zone: str
    of: str
    path: str

    @property
    def fallback(self) -> bool:
        """Whether it is another zone's."""
        return normal(self.zone) != normal(self.of)


def model_names(zone: str, prefix: str = "") -> list[str]:
    """Names that the file of a zone may have: `5Q` and `05Q` are one zone."""
    spellings = dict.fromkeys((zone, normal(zone), zone.lstrip("0")))
    return [f"{prefix}MODEL_CNN_{spelling}.h5" for spelling in spellings]


def zone_of_file(name: str, prefix: str = "") -> str | None:
    """The grid zone in the name of a model file, as it is spelled; None for other names."""
    match = re.fullmatch(rf"{re.escape(prefix)}MODEL_CNN_(\d{{1,2}}[{BANDS}])\.h5", name)
    return match[1] if match else None


def available(folder: str, prefix: str = "") -> dict[str, str]:
    """Models of a folder or URL, location by grid zone; empty where it cannot be listed by HTTP.

    Files with another prefix are not among them.

    Raises:
        RequestError: the storage does not answer.
    """
    try:
        names = listing(folder)
    except StorageError as error:
        if is_http(folder):
            return {}  # many servers give files and no list of them; `resolve` asks for each
        raise RequestError(f"models: {masked(folder)}: cannot be listed: {error.reason}") from error
    found = {}
    for name in names:
        zone = zone_of_file(name, prefix)
        if zone:
            found[zone] = join(folder, name)
    return found


def _asked_for(zones: Iterable[str], folder: str, prefix: str) -> dict[str, str]:
    """Of these zones, those that HTTP gives a model for, whether it lists it or not."""
    found = {}
    for zone in sorted({normal(zone) for zone in zones}):
        for name in model_names(zone, prefix):
            path = join(folder, name)
            try:
                if url_exists(path):
                    found[zone] = path
                    break
            except Unavailable as error:
                raise RequestError(f"models: {masked(path)}: {error}") from error
    return found


def resolve(
    zones: Iterable[str],
    folder: str,
    fallback: str = ERROR,
    *,
    prefix: str = "",
) -> tuple[ZoneModel, ...]:
    """The model of each grid zone.

    Args:
        zones: grid zones of the job's tiles.
        folder: local folder or URL of the models.
        fallback: for a zone without a model `error`, `nearest` (of the models that are listed
            there), or a grid zone whose model is taken.
        prefix: prefix of the file names; the demonstration's are found by theirs alone.

    Returns:
        One for each of `zones`, sorted by zone.

    Raises:
        RequestError: a zone has no model and no fallback, all such zones are named; or the
            folder cannot be read.
    """
    wanted = sorted(set(zones))
    for zone in wanted:
        zone_bounds(zone)
    named = [] if fallback in (ERROR, NEAREST) else [fallback]
    listed = {normal(zone): path for zone, path in available(folder, prefix).items()}
    asked = [zone for zone in (*wanted, *named) if normal(zone) not in listed]
    found = listed | (_asked_for(asked, folder, prefix) if is_http(folder) else {})
    chosen, missing = [], []
    for zone in wanted:
        own = normal(zone)
        instead = nearest(zone, listed) if fallback == NEAREST else normal(fallback)
        of = own if own in found else instead
        if of is not None and of in found:
            chosen.append(ZoneModel(zone, of, found[of]))
        else:
            missing.append(zone)
    if missing:
        raise RequestError(_missing(missing, folder, fallback, prefix))
    return tuple(chosen)


def _missing(missing: Collection[str], folder: str, fallback: str, prefix: str) -> str:
    """What is missing and what can be done, in one line."""
    zones = ", ".join(missing)
    example = model_names(next(iter(missing)), prefix)[0]
    text = f"models: no file for grid zone {zones} in {masked(folder)} ({example})"
    into = "" if is_url(folder) else f" --folder {masked(folder)}"
    zones_asked = (f"--zone {normal(zone)}" for zone in missing)
    fetch = " ".join(["ghsl-beam models fetch", *zones_asked]) + into
    if fallback == NEAREST:
        why = (
            "and the folder cannot be listed to find" if is_http(folder) else "and none at all for"
        )
        return f"{text}, {why} the nearest: put the files there ({fetch})"
    if fallback != ERROR:
        text += f", and none for the fallback {fallback}"
    return (
        f"{text}: put the files there ({fetch}), or set models.fallback to 'nearest' or a grid zone"
    )
