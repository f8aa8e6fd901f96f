"""The model store: a folder or URL with one weight file for each grid zone."""

from __future__ import annotations

import re
import shlex
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
    """The model for a grid zone: its own, or that of another zone `of`."""

    zone: str
    of: str
    path: str

    @property
    def fallback(self) -> bool:
        """Whether the model is of another zone."""
        return normal(self.zone) != normal(self.of)


def model_names(zone: str, prefix: str = "") -> list[str]:
    """Possible names of the file of a zone: `5Q` and `05Q` are the same zone."""
    spellings = dict.fromkeys((zone, normal(zone), zone.lstrip("0")))
    return [f"{prefix}MODEL_CNN_{spelling}.h5" for spelling in spellings]


def zone_of_file(name: str, prefix: str = "") -> str | None:
    """The grid zone in the name of a model file, in its spelling there; None for other names."""
    match = re.fullmatch(rf"{re.escape(prefix)}MODEL_CNN_(\d{{1,2}}[{BANDS}])\.h5", name)
    return match[1] if match else None


def available(folder: str, prefix: str = "") -> dict[str, str]:
    """The models in a folder or URL: locations by grid zone, empty if HTTP gives no listing.

    Files with another prefix are left out.

    Raises:
        RequestError: the folder cannot be listed.
    """
    try:
        names = listing(folder)
    except StorageError as error:
        if is_http(folder):
            return {}  # many servers give files but no list; `resolve` asks for each file
        raise RequestError(f"models: {masked(folder)}: cannot be listed: {error.reason}") from error
    models = {}
    for name in names:
        zone = zone_of_file(name, prefix)
        if zone:
            models[zone] = join(folder, name)
    return models


def _asked_for(zones: Iterable[str], folder: str, prefix: str) -> dict[str, str]:
    """The zones of these that have a model over HTTP, whether it is listed or not."""
    models = {}
    for zone in sorted({normal(zone) for zone in zones}):
        for name in model_names(zone, prefix):
            path = join(folder, name)
            try:
                if url_exists(path):
                    models[zone] = path
                    break
            except Unavailable as error:
                raise RequestError(f"models: {masked(path)}: {error}") from error
    return models


def resolve(
    zones: Iterable[str],
    folder: str,
    fallback: str = ERROR,
    *,
    prefix: str = "",
) -> tuple[ZoneModel, ...]:
    """Choose the model of each grid zone.

    Args:
        zones: grid zones of the job's tiles.
        folder: local folder or URL of the models.
        fallback: what to do for a zone without a model: `error`, `nearest` (the nearest listed
            model), or a grid zone whose model is used.
        prefix: prefix of the file names; the demonstration's models have one of their own.

    Returns:
        One model for each of `zones`, sorted by zone.

    Raises:
        RequestError: a zone has no model and no fallback (the text names all such zones), or the
            folder cannot be read.
    """
    wanted = sorted(set(zones))
    for zone in wanted:
        zone_bounds(zone)
    named = [] if fallback in (ERROR, NEAREST) else [fallback]
    listed = {normal(zone): path for zone, path in available(folder, prefix).items()}
    asked = [zone for zone in (*wanted, *named) if normal(zone) not in listed]
    models = listed | (_asked_for(asked, folder, prefix) if is_http(folder) else {})
    chosen, missing = [], []
    for zone in wanted:
        own = normal(zone)
        instead = nearest(zone, listed) if fallback == NEAREST else normal(fallback)
        of = own if own in models else instead
        if of is not None and of in models:
            chosen.append(ZoneModel(zone, of, models[of]))
        else:
            missing.append(zone)
    if missing:
        raise RequestError(_missing(missing, folder, fallback, prefix))
    return tuple(chosen)


def _missing(missing: Collection[str], folder: str, fallback: str, prefix: str) -> str:
    """The missing models and what to do about them, in one line."""
    zones = ", ".join(missing)
    example = model_names(next(iter(missing)), prefix)[0]
    text = f"models: no file for grid zone {zones} in {masked(folder)} ({example})"
    into = "" if is_url(folder) else f" --folder {shlex.quote(masked(folder))}"
    zones_asked = (f"--zone {normal(zone)}" for zone in missing)
    fetch = " ".join(["ghsl-beam models fetch", *zones_asked]) + into
    if fallback == NEAREST:
        why = "cannot be listed to find the nearest one" if is_http(folder) else "has no other"
        return f"{text}, and the folder {why}: put the files there ({fetch})"
    if fallback != ERROR:
        text += f", and no file for the fallback {fallback}"
    return (
        f"{text}: put the files there ({fetch}), or set models.fallback to 'nearest' or a grid zone"
    )
