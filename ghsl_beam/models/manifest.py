"""The manifest of the published models: the zones, and the known facts about each file.

The package contains the list of the JRC's repository. A folder of models may have its own manifest.
A manifest must be complete: a list that its source truncates is refused.
"""

from __future__ import annotations

import datetime
import json
import re
import shlex
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from transforms.elements import RequestError, StorageError, request_error
from transforms.inference.models import zone_of_file
from transforms.inference.zones import is_zone, normal
from transforms.storage.remote import Limits, Unavailable, is_http, read_url
from transforms.storage.storage import join, listing, masked, read_bytes, write_whole

MANIFEST = "manifest.json"
PUBLISHED = Path(__file__).with_name("published_models.json")
"""The manifest of the JRC's repository at one commit, so that fetched files are the listed ones."""
_MAX_BYTES = 8 << 20
_GITHUB_LIMIT = 1000
"""GitHub truncates the list of a folder at this number of files."""
_LFS_POINTER = 1024
"""A blob with fewer bytes is not a model but a pointer of Git LFS."""
_GITHUB = re.compile(
    r"https://(?:github\.com/([^/]+)/([^/]+)/raw|raw\.githubusercontent\.com/([^/]+)/([^/]+))"
    r"/([^/]+)/(.+)"
)


class PublishedModel(BaseModel):
    """One file of the repository; unknown facts are None."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    zone: Annotated[str, Field(description="grid zone, two digits and a letter")]
    file: Annotated[str, Field(pattern=r"^MODEL_CNN_\d{1,2}[C-HJ-NP-X]\.h5$")]
    bytes: Annotated[int | None, Field(ge=0)] = None
    git_blob: Annotated[
        str | None,
        Field(pattern=r"^[0-9a-f]{40}$", description="Git's SHA-1 of the file, from the list"),
    ] = None
    sha256: Annotated[str | None, Field(pattern=r"^[0-9a-f]{64}$")] = None


class Manifest(BaseModel):
    """The models that a source publishes, and the known facts about each file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: str
    base: Annotated[str, Field(description="URL of the folder of the files")]
    listing: Annotated[
        str, Field(description="URL that lists them: GitHub's contents of a folder, or a folder")
    ]
    licence: str
    credit: str
    date: Annotated[datetime.date | None, Field(description="day on which the list was read")] = (
        None
    )
    count: Annotated[int, Field(ge=0, description="models that are published")]
    complete: Annotated[bool, Field(description="whether `models` is the whole list")]
    note: str = ""
    models: tuple[PublishedModel, ...]

    def of(self, zone: str) -> PublishedModel | None:
        """The facts about a zone's file; None if no model is published for the zone."""
        return next((model for model in self.models if model.zone == normal(zone)), None)


def listing_of(base: str) -> str:
    """The URL that lists a folder of files: GitHub's contents for its folders, else the folder."""
    match = _GITHUB.fullmatch(base.rstrip("/"))
    if match is None:
        return base
    owner, repository = match[1] or match[3], match[2] or match[4]
    return f"https://api.github.com/repos/{owner}/{repository}/contents/{match[6]}?ref={match[5]}"


def read_manifest(folder: str) -> Manifest:
    """The manifest of a folder of models; the one of the JRC's repository if it has none.

    Raises:
        RequestError: the file cannot be read, is not a manifest, or has an incomplete list.
    """
    manifest = stored_manifest(folder)
    if not manifest.complete:
        raise RequestError(
            f"{masked(join(folder, MANIFEST))}: has only a part of the list of models; read it "
            f"again: ghsl-beam models refresh --folder {shlex.quote(masked(folder))}"
        )
    return manifest


def stored_manifest(folder: str) -> Manifest:
    """As `read_manifest`, but also accept a manifest with an incomplete list.

    Raises:
        RequestError: the file cannot be read, or is not a manifest.
    """
    file = join(folder, MANIFEST)
    try:
        return Manifest.model_validate_json(read_bytes(file, _MAX_BYTES))
    except StorageError as error:
        if error.absent or is_http(folder):
            return published_manifest()
        raise request_error(str(error), error) from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise RequestError(f"{masked(file)}: is not a manifest: {where}: {first['msg']}") from error


@cache
def published_manifest() -> Manifest:
    """The manifest of the JRC's repository in the package."""
    return Manifest.model_validate_json(PUBLISHED.read_bytes())


def refreshed(manifest: Manifest, limits: Limits = Limits()) -> Manifest:  # noqa: B008 - frozen
    """The manifest with the present list of its source.

    A known SHA-256 is kept for a file that has not changed.

    Raises:
        RequestError: the list cannot be read, is truncated, or names no model.
    """
    where = masked(manifest.listing)
    try:
        listed, truncated = _listed(manifest.listing, limits)
    except (Unavailable, StorageError) as error:
        reason = error.reason if isinstance(error, StorageError) else error
        raise RequestError(f"{where}: cannot list the models: {reason}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise RequestError(f"{where}: is not a list of files, expected GitHub's JSON") from error
    if not listed:
        raise RequestError(f"{where}: lists no MODEL_CNN_<zone>.h5")
    if truncated:
        raise RequestError(
            f"{where}: GitHub lists only the first {_GITHUB_LIMIT} files of a folder, so the list "
            "may lack models: give a folder with fewer files (--from)"
        )
    known = {(m.file, m.git_blob): m.sha256 for m in manifest.models}
    models = tuple(
        model.model_copy(update={"sha256": known.get((model.file, model.git_blob))})
        for model in sorted(listed, key=lambda model: model.zone)
    )
    changes = {
        "date": datetime.datetime.now(datetime.UTC).date(),
        "count": len(models),
        "complete": True,
        "note": "",
        "models": models,
    }
    return manifest.model_copy(update=changes)


def write_manifest(folder: str, manifest: Manifest) -> None:
    """Write the manifest of a folder, whole or not at all.

    Raises:
        StorageError: it cannot be written.
    """
    text = json.dumps(manifest.model_dump(mode="json"), indent=1, ensure_ascii=False)
    write_whole(join(folder, MANIFEST), f"{text}\n".encode())


def _listed(where: str, limits: Limits) -> tuple[list[PublishedModel], bool]:
    """Models that a URL lists, and whether the list is truncated."""
    if not is_http(where) or "/contents/" not in where:
        return _models({"name": name} for name in listing(where)), False
    content = read_url(where, replace(limits, size=_MAX_BYTES))
    entries: list[dict[str, Any]] = json.loads(content)
    files = [entry for entry in entries if entry["type"] == "file"]
    return _models(files), len(entries) >= _GITHUB_LIMIT


def _models(entries: Any) -> list[PublishedModel]:
    models = []
    for entry in entries:
        zone = zone_of_file(entry["name"])
        if zone is None or not is_zone(zone):
            continue
        size = entry.get("size")
        whole = size is not None and size >= _LFS_POINTER
        models.append(
            PublishedModel(
                zone=normal(zone),
                file=entry["name"],
                bytes=size if whole else None,
                git_blob=entry.get("sha") if whole else None,
            )
        )
    return models
