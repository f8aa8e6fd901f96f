"""Chooses the scenes of a tile from their stored masks, and finds its bright targets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter
from typing_extensions import TypedDict

from transforms.elements import Layer, Scene, StorageError, TilePlan, Window, extent_of, part_of
from transforms.rasters.area_mask import area_mask
from transforms.storage import storage

from .block_masks import cells_around
from .bright import REACH, bright_targets
from .choice import ChoiceParameters, ordered
from .classes import MaskClass
from .make import Shares
from .mask_files import MaskFiles

_ROWS = 512
"""Rows of cells that are read at a time, so that memory does not grow with the scenes."""
_MAX_BYTES = 1 << 26


class ChosenScene(TypedDict):
    """What became of a scene.

    `clear` and `seen` are shares of the area of interest in the tile: clear in the scene, and with
    data in the scene; null if its mask could not be made. `used` is the share of the area for which
    the scene gives an observation. `reason` says why a scene is not used; it is empty if it is.
    """

    id: str
    clear: float | None
    seen: float | None
    used: float
    reason: str


class Choice(TypedDict):
    """The choice of a tile's scenes; `fingerprint` is that of its S2 layer."""

    fingerprint: str
    scenes: list[ChosenScene]


_CHOICE = TypeAdapter(Choice)


def choose_scenes(
    plan: TilePlan,
    shares: Sequence[Shares | None],
    files: MaskFiles,
    parameters: ChoiceParameters,
) -> tuple[int, ...]:
    """Choose the scenes of a tile; store the choice and the bright targets.

    Args:
        plan: the plan of the tile.
        shares: what each scene shows; None if its mask could not be made.
        files: the stored masks.
        parameters: which scenes are used, and in which order.

    Returns:
        The numbers of the scenes to use, in the order of their use.

    Raises:
        RasterError: a mask cannot be read, or a file cannot be written.
    """
    every = ordered(plan.scenes, shares, replace(parameters, at_most=None))
    groups = every[: parameters.at_most]
    cells = cells_around(plan.place(plan.window), plan.grid)
    masked, seen = (np.zeros(cells.shape, np.uint16) for _ in range(2))
    used = np.zeros(len(plan.scenes), np.int64)
    area = 0
    # An area may be smaller than a cell.
    strips = list(extent_of(cells).strips(_ROWS))
    small = not any(area_mask(plan.area, part_of(cells, rows)).any() for rows in strips)
    for rows in strips:
        part = part_of(cells, rows)
        place = rows.slices_in(extent_of(cells))
        inside = np.ones(part.shape, np.bool_) if small else area_mask(plan.area, part)
        area += int(np.count_nonzero(inside))
        taken = np.zeros(part.shape, np.uint16)
        for place_in_order, group in enumerate(every):
            chosen = place_in_order < len(groups)
            here = np.zeros(part.shape, np.bool_)
            for number in group:
                classes = files.read_classes(plan.scenes[number], part)
                has_data = classes != MaskClass.NODATA
                masked[place] += classes == MaskClass.CLOUD
                seen[place] += has_data
                if not chosen:
                    continue  # the bright targets are those of all scenes
                gives = inside & (classes == MaskClass.CLEAR) & ~here
                if parameters.enough is not None:
                    gives &= taken < parameters.enough
                used[number] += np.count_nonzero(gives)
                taken += gives
                here |= has_data
    files.write_bright(plan.tile, _bright(masked, seen), cells)
    numbers = tuple(number for group in groups for number in group)
    choice: Choice = {
        "fingerprint": plan.fingerprints.get(Layer.S2, ""),
        "scenes": [
            _chosen(scene, shares[n], used[n] / max(1, area), n in numbers)
            for n, scene in enumerate(plan.scenes)
        ],
    }
    location = files.location(files.choice_of(plan.tile))
    storage.write_whole(location, _CHOICE.dump_json(choice, indent=2))
    return numbers


def stored_choice(files: MaskFiles, plan: TilePlan) -> Choice | None:
    """The stored choice of a tile's scenes; None if there is none for the plan's S2 layer.

    Raises:
        StorageError: the storage does not answer.
    """
    choice = last_choice(files, plan.tile)
    if choice is None:
        return None
    same = [scene["id"] for scene in choice["scenes"]] == [scene.id for scene in plan.scenes]
    current = choice["fingerprint"] == plan.fingerprints.get(Layer.S2, "")
    return choice if same and current else None


def last_choice(files: MaskFiles, tile: str) -> Choice | None:
    """The choice of the last run, whatever its settings were; None if there is none.

    Raises:
        StorageError: the storage does not answer.
    """
    location = files.location(files.choice_of(tile))
    try:
        return _CHOICE.validate_json(storage.read_bytes(location, _MAX_BYTES))
    except ValueError:
        return None
    except StorageError as error:
        if not error.absent:
            raise
        return None


def _chosen(scene: Scene, shares: Shares | None, used: float, chosen: bool) -> ChosenScene:
    reason = ""
    if shares is None:
        reason = "its mask could not be made"
    elif not chosen:
        reason = "scenes.at_most: other scenes come first"
    elif used == 0:
        reason = (
            "no clear pixel of the area in it"
            if shares.clear == 0
            else "scenes.enough: other scenes give enough clear observations"
        )
    clear, seen = (None, None) if shares is None else shares
    return {
        "id": scene.id,
        "clear": None if clear is None else round(clear, 4),
        "seen": None if seen is None else round(seen, 4),
        "used": round(float(used), 4),
        "reason": reason,
    }


def _bright(masked: NDArray[np.uint16], seen: NDArray[np.uint16]) -> NDArray[np.bool_]:
    """The bright targets of a tile, found strip by strip."""
    bright = np.zeros(masked.shape, np.bool_)
    whole = Window(0, 0, *masked.shape)
    for rows in whole.strips(_ROWS):
        wide = rows.expand(REACH).intersect(whole) or rows
        found = bright_targets(masked[wide.slices_in(whole)], seen[wide.slices_in(whole)])
        bright[rows.slices_in(whole)] = found[rows.slices_in(wide)]
    return bright
