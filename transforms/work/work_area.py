"""The job's work area: plans of tiles and block files."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC
from functools import cache, lru_cache
from typing import Any, NamedTuple

from numpy.typing import NDArray
from pydantic import TypeAdapter

from transforms.elements import (
    DTYPE,
    NODATA,
    Block,
    BlockTask,
    Layer,
    Loss,
    Pixels,
    RasterError,
    RasterRef,
    StorageError,
    TilePlan,
    VersionError,
    Window,
    fingerprint,
    package_version,
)
from transforms.observe.event_sums import EventSums, SumsReader, sums_of_process
from transforms.observe.events import Event, begin, has_folder
from transforms.rasters.geotiff import (
    FINGERPRINT_TAG,
    INCOMPLETE,
    is_damaged,
    raster_profile,
    read_window,
    stored_fingerprint,
    stored_fingerprints,
    write_block,
)
from transforms.rasters.seal import Sum
from transforms.storage import storage

from . import work_files

_LOG = logging.getLogger(__name__)
_PLANS = TypeAdapter(TilePlan)
_LOSS = TypeAdapter(Loss)
SUMS = "sums"
"""Folder of a work area with the sums of its launch."""
NOTES = "products"
"""Folder of a work area with what was published, until the record says it."""
_MAX_PLAN_BYTES = 1 << 30
_MAX_LOSS_BYTES = 1 << 20
_AT_A_TIME = 16
"""Notes that are read together: each is a short request."""


class Note(NamedTuple):
    """A product that was published: path below the output, fingerprint or mark, and its sum."""

    path: str
    mark: str
    size: int
    sha256: str


_NOTES = TypeAdapter(list[Note])


@cache
def installed_version() -> str:
    """The installed versions of this package and of Beam, in words."""
    package, beam = package_version("ghsl-beam"), package_version("apache-beam")
    return f"ghsl-beam {package} with Beam {beam}"


@dataclass(frozen=True, slots=True)
class WorkArea:
    """Where plans and block files of a job lie; a location, so it travels.

    A worker keeps the plans it has read by the `launch` that wrote them. A `strict` job stops at
    its first loss. `version` tells the launcher's: another would not keep what plans promise.
    """

    folder: str
    launch: str = ""
    strict: bool = False
    version: str = field(default_factory=installed_version)

    def write_plan(self, plan: TilePlan) -> None:
        """Store a tile's plan for the workers."""
        storage.write_whole(self._plan_path(plan.tile), _PLANS.dump_json(plan))

    def plan(self, tile: str) -> TilePlan:
        """The plan of a tile, for a worker, of which the launcher then sees that it has begun.

        Raises:
            VersionError: this worker has another version of the package than the launcher.
            RasterError: the plan is gone.
        """
        if self.version != installed_version():
            raise VersionError(
                f"a worker has {installed_version()}, the launcher {self.version}: "
                "install the same versions on both"
            )
        if not begin():
            self._sums_of_process()
        return self.stored_plan(tile)

    def stored_plan(self, tile: str) -> TilePlan:
        """The plan of a tile, read once a process and launch.

        Raises:
            RasterError: the plan is gone.
        """
        path = self._plan_path(tile)
        try:
            return _read_plan(path, self.launch)
        except StorageError as error:
            raise RasterError(f"{path}: the tile's plan is gone: {error.reason}") from error

    def tiles(self) -> list[str]:
        """The tiles that there are plans of."""
        names = storage.listing(storage.join(self.folder, "plan"))
        return [name.removesuffix(".json") for name in names if name.endswith(".json")]

    def remove(self, tile: str) -> None:
        """Remove a tile's plan and blocks.

        Raises:
            StorageError: they cannot be removed.
        """
        storage.remove(self._plan_path(tile))
        for layer in Layer:
            work_files.clear(self.folder, f"blocks/{layer}/{tile}")

    def _plan_path(self, tile: str) -> str:
        return storage.join(self.folder, "plan", f"{tile}.json")

    def block_path(self, layer: Layer, block: Block) -> str:
        """Where a block file lies; its name tells window and tile."""
        return storage.join(self.folder, _block_name(layer, block))

    def stored_marks(self, blocks: Iterable[tuple[Layer, Block]]) -> dict[tuple[Layer, Block], str]:
        """Fingerprints of the stored ones of many blocks; on object storage by one listing.

        Raises:
            RasterError: the storage cannot be asked.
        """
        named = {_block_name(*block): block for block in blocks}
        return {named[name]: mark for name, mark in stored_fingerprints(self.folder, named).items()}

    def located(self, reference: RasterRef) -> RasterRef:
        """The reference with the path of its raster."""
        block = Block(reference.tile, reference.window)
        return replace(reference, path=reference.path or self.block_path(reference.layer, block))

    def read(self, layer: Layer, references: Iterable[RasterRef], window: Window) -> NDArray[Any]:
        """A window of a layer out of the rasters that hold it; see `read_window`."""
        located = (self.located(r) for r in references if r.layer == layer)
        return read_window(located, window, len(layer.spec.bands), DTYPE[layer], NODATA[layer])

    def find(self, layer: Layer, block: Block) -> RasterRef | None:
        """The stored block, if it was made from what the plan says."""
        path = self.block_path(layer, block)
        if stored_fingerprint(path) != self.plan(block.tile).fingerprints[layer]:
            return None
        return RasterRef(block.tile, layer, block.window)

    def write(self, layer: Layer, block: Block, array: NDArray[Any], *, whole: bool) -> RasterRef:
        """Store a block; one that lost an input is not marked as made from what the plan says."""
        plan = self.plan(block.tile)
        window = block.window
        path = self.block_path(layer, block)
        georeference = raster_profile(plan.place(window))
        tags = {FINGERPRINT_TAG: plan.fingerprints[layer] if whole else INCOMPLETE}
        write_block(path, array, georeference, NODATA[layer], tags)
        return RasterRef(block.tile, layer, window, whole=whole)

    def discard(self, path: str) -> None:
        """Remove a damaged block, or part of a grid, so that the next launch makes it anew.

        One that is whole stays: it was its storage that failed. So does what lies elsewhere.
        """
        mine = tuple(f"{storage.join(self.folder, kind)}/" for kind in ("blocks", "grid"))
        if not path.startswith(mine):
            return
        try:
            if is_damaged(path):
                storage.remove(path)
        except StorageError as error:
            if not error.absent:
                _LOG.warning("a file that was not readable stays: %s", error)

    def noting(self, path: str, mark: str) -> Callable[[Sum], None]:
        """A function that notes the sum of a product at `path` below the output."""
        return lambda made: self.write_notes(path, [Note(path, mark, *made)])

    def write_notes(self, about: str, notes: list[Note]) -> None:
        """Keep notes together, in place of those kept before under the same words.

        Raises:
            StorageError: they cannot be written.
        """
        path = storage.join(self.folder, NOTES, f"{fingerprint(about)}.json")
        storage.write_whole(path, _NOTES.dump_json(notes))

    def notes(self) -> list[Note]:
        """What was published since the record was last whole; of what is damaged, nothing.

        Raises:
            StorageError: they cannot be listed or read.
        """
        folder = storage.join(self.folder, NOTES)

        def read(name: str) -> list[Note]:
            try:
                data = storage.read_bytes(storage.join(folder, name), _MAX_PLAN_BYTES)
                return _NOTES.validate_json(data)
            except ValueError:
                _LOG.warning("%s: damaged, and not used", storage.join(folder, name))
                return []

        with ThreadPoolExecutor(_AT_A_TIME) as pool:
            return [note for notes in pool.map(read, storage.listing(folder)) for note in notes]

    def record(self, loss: Loss) -> None:
        """A loss as a small file of its own: the same loss twice is one file.

        Where the disk has no room for it, the log alone says why; that something is lost is known
        all the same, by what is not there.
        """
        content = asdict(loss)
        path = storage.join(self.folder, "losses", f"{fingerprint(content)}.json")
        try:
            storage.write_whole(path, json.dumps(content).encode())
        except StorageError as error:
            _LOG.warning("the reason of a loss is not recorded: %s: %s", loss.summary, error)

    def losses(self) -> list[Loss]:
        """The losses of the last launch.

        Raises:
            StorageError: one cannot be read, or is not what was written.
        """
        folder = storage.join(self.folder, "losses")
        names = [name for name in storage.listing(folder) if name.endswith(".json")]
        return [_loss(storage.join(folder, name)) for name in names]

    @property
    def sums(self) -> str:
        """Where a cluster's workers write how far the launch is; see `event_sums`."""
        return storage.join(self.folder, SUMS, self.launch)

    def _sums_of_process(self) -> EventSums | None:
        """This process's sums for the launch; None where its launcher sees the events."""
        return sums_of_process(self.sums) if self.launch and not has_folder() else None

    def add(self, event: Event) -> None:
        """Add an event to this process's sums for the launch."""
        if sums := self._sums_of_process():
            sums.add(event)

    def write_sums(self) -> None:
        """Write this process's sums, where there is something new."""
        if sums := self._sums_of_process():
            sums.write()

    def last_sums(self) -> Iterator[Event]:
        """How far the last launch came on a cluster, whichever it was."""
        folder = storage.join(self.folder, SUMS)
        for launch in storage.listing(folder):
            yield from SumsReader(storage.join(folder, launch)).new()

    def forget(self) -> None:
        """Remove what the last launch recorded: its losses, and how far it came."""
        work_files.clear(self.folder, "losses")
        work_files.clear(self.folder, SUMS)


def _block_name(layer: Layer, block: Block) -> str:
    """A block file's path below the work area."""
    window = block.window
    name = f"r{window.row}_c{window.col}_{window.height}x{window.width}.tif"
    return f"blocks/{layer}/{block.tile}/{name}"


def _loss(path: str) -> Loss:
    try:
        return _LOSS.validate_json(storage.read_bytes(path, _MAX_LOSS_BYTES))
    except ValueError as error:
        raise StorageError(path, "damaged: expected a loss as JSON") from error


@lru_cache(maxsize=64)
def _read_plan(path: str, launch: str) -> TilePlan:
    plan = _PLANS.validate_json(storage.read_bytes(path, _MAX_PLAN_BYTES))
    # A time zone of pydantic that lives until the interpreter ends can crash it then
    # (pydantic issue 12867), and this cache does.
    scenes = (replace(scene, sensing=scene.sensing.astimezone(UTC)) for scene in plan.scenes)
    return replace(plan, scenes=tuple(scenes))


def read_pixels(
    work: WorkArea, task: BlockTask, window: Window, layers: tuple[Layer, ...]
) -> Pixels:
    """The stored layers of a block, over a window that may reach past it."""
    arrays = {layer: work.read(layer, task.references, window) for layer in layers}
    plan = work.plan(task.block.tile)
    place = plan.place(window)
    return Pixels(
        task.block, window, place, arrays, task.whole, task.make, plan.zone, plan.area_wkb
    )
