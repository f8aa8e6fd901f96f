"""Chooses the candidates that are worth reading, by the values in their catalogue.

Reading a candidate costs a few requests. It is not read if that cannot change the result: all
processings of its pass are too cloudy, or it cannot be read now.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from itertools import groupby

from transforms.assembly.products.naming import ProductName, parse_name
from transforms.assembly.products.passes import SAME_DATASTRIP, SAME_PASS
from transforms.elements import Cause, Loss

from .catalogue import Answer, Candidate, LeftOut, Wanted

STAGE = "catalogue"
"""Stage of the losses."""
ROUNDED = 0.5
"""Largest difference between the cloud cover in a catalogue and in the metadata, in percent."""
_START = re.compile(r"_S(\d{8}T\d{6})(?=_|$)")


def worth_reading(
    answers: Iterable[Answer], wanted: Wanted
) -> tuple[list[Answer], list[LeftOut | Loss]]:
    """The answers to read, in their order, and losses or reasons for the others.

    A candidate that is named twice at one place counts once. A product that is not online is a
    loss, unless it is too cloudy, or another processing of its datastrip is online that is newer or
    clear enough.
    """
    read: list[Answer] = []
    named: dict[Candidate, ProductName] = {}
    without_tile: list[ProductName | None] = []
    for answer in dict.fromkeys(answers):
        name = parse_name(answer.name) if isinstance(answer, Candidate) else None
        if name is None or name.tile is None:
            read.append(answer)
            without_tile += [name] if isinstance(answer, Candidate) else []
        elif isinstance(answer, Candidate) and wanted.by_name(name):
            read.append(answer)
            named[answer] = name
    there = {one.location for one in named if one.online}
    for twice in [one for one in named if not one.online and one.location in there]:
        read.remove(twice)  # the same product is named as online too
        del named[twice]
    unread: dict[Candidate, LeftOut | Loss] = {}
    for one in _passes(named):
        online = [candidate for candidate in one if candidate.online]
        for candidate in one:
            if not candidate.online and _is_too_cloudy(candidate, wanted):
                unread[candidate] = _too_cloudy(candidate, named[candidate], wanted)
            elif not candidate.online:
                name = named[candidate]
                instead = [
                    other
                    for other in online
                    if named[other].made > name.made or not _is_too_cloudy(other, wanted)
                ]
                unread[candidate] = _offline(candidate, name, instead)
        if any(_may_belong(other, named[candidate]) for other in without_tile for candidate in one):
            continue  # without the cloudy processing, an older one would count
        if all(_is_too_cloudy(candidate, wanted) for candidate in one):
            for candidate in one:
                unread[candidate] = _too_cloudy(candidate, named[candidate], wanted)
    return [one for one in read if one not in unread], list(unread.values())


def _passes(named: dict[Candidate, ProductName]) -> list[list[Candidate]]:
    """Group candidates by pass: one satellite and tile, sensing starts within `SAME_PASS`."""

    def order(candidate: Candidate) -> tuple[str, str, datetime]:
        name = named[candidate]
        return name.satellite, name.tile or "", name.sensing

    runs: list[list[Candidate]] = []
    for _, same in groupby(sorted(named, key=order), key=lambda one: order(one)[:2]):
        last: datetime | None = None
        for candidate in same:
            sensing = named[candidate].sensing
            if last is None or sensing - last >= SAME_PASS:
                runs.append([])
            runs[-1].append(candidate)
            last = sensing
    return runs


def _is_too_cloudy(candidate: Candidate, wanted: Wanted) -> bool:
    cloud = candidate.cloud_cover
    return cloud is not None and cloud > wanted.max_cloud + ROUNDED


def _too_cloudy(candidate: Candidate, name: ProductName, wanted: Wanted) -> LeftOut:
    reason = f"cloud cover {candidate.cloud_cover:.3g} %, at most {wanted.max_cloud:g} %"
    return _left_out(candidate, name, reason)


def _may_belong(other: ProductName | None, name: ProductName) -> bool:
    """Whether a product whose name does not give the tile may be of the same pass."""
    if other is None:
        return True
    return other.satellite == name.satellite and abs(other.sensing - name.sensing) < SAME_PASS


def _offline(candidate: Candidate, name: ProductName, online: list[Candidate]) -> LeftOut | Loss:
    if any(_same_datastrip(candidate, other) for other in online):
        return _left_out(candidate, name, "not online; another processing of it is online")
    reason = "not online: order it in the workspace of its service, and run again when it is there"
    tile, place = name.tile or "", candidate.location
    return Loss(STAGE, tile, reason, name.text, place, cause=Cause.OFFLINE)


def _same_datastrip(one: Candidate, other: Candidate) -> bool:
    starts = [_START.search(candidate.datastrip) for candidate in (one, other)]
    if not all(starts):
        return True  # nothing distinguishes them
    first, second = (
        datetime.strptime(start[1], "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
        for start in starts
        if start is not None
    )
    return abs(second - first) <= SAME_DATASTRIP


def _left_out(candidate: Candidate, name: ProductName, reason: str) -> LeftOut:
    return LeftOut(
        name.text,
        name.tile or "",
        name.sensing,
        candidate.cloud_cover,
        reason,
        candidate.location,
    )
