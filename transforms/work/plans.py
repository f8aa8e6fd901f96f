"""The plans of tiles in a job's work area: the launcher writes them, the workers read them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC
from functools import cache, lru_cache

from pydantic import TypeAdapter

from transforms.elements import RasterError, StorageError, TilePlan, VersionError, package_version
from transforms.storage import storage

_PLANS = TypeAdapter(TilePlan)
_MAX_BYTES = 1 << 30


@cache
def installed_version() -> str:
    """The installed versions of this package and of Beam, in words."""
    package, beam = package_version("ghsl-beam"), package_version("apache-beam")
    return f"ghsl-beam {package} with Beam {beam}"


@dataclass(frozen=True, slots=True)
class Plans:
    """Plans of tiles below a work area.

    A worker keeps the plans it has read by the `launch` that wrote them. `version` tells the
    launcher's: another would not keep what plans promise.
    """

    folder: str
    launch: str = ""
    version: str = field(default_factory=installed_version)

    def path(self, tile: str) -> str:
        """Where the plan of a tile lies."""
        return storage.join(self.folder, "plan", f"{tile}.json")

    def write(self, plan: TilePlan) -> None:
        """Store a tile's plan for the workers."""
        storage.write_whole(self.path(plan.tile), _PLANS.dump_json(plan))

    def read(self, tile: str) -> TilePlan:
        """The plan of a tile, for a worker.

        Raises:
            VersionError: this worker has another version of the package than the launcher.
            RasterError: the plan is gone.
        """
        if self.version != installed_version():
            raise VersionError(
                f"a worker has {installed_version()}, the launcher {self.version}: "
                "install the same versions on both"
            )
        return self.stored(tile)

    def stored(self, tile: str) -> TilePlan:
        """The plan of a tile, read once a process and launch, whichever version wrote it.

        Raises:
            RasterError: the plan is gone.
        """
        path = self.path(tile)
        try:
            return _read(path, self.launch)
        except StorageError as error:
            raise RasterError(f"{path}: the tile's plan is gone: {error.reason}") from error

    def tiles(self) -> list[str]:
        """The tiles that there are plans of."""
        names = storage.listing(storage.join(self.folder, "plan"))
        return [name.removesuffix(".json") for name in names if name.endswith(".json")]

    def remove(self, tile: str) -> None:
        """Remove a tile's plan.

        Raises:
            StorageError: it cannot be removed.
        """
        storage.remove(self.path(tile))


@lru_cache(maxsize=64)
def _read(path: str, launch: str) -> TilePlan:
    plan = _PLANS.validate_json(storage.read_bytes(path, _MAX_BYTES))
    # A time zone of pydantic that lives until the interpreter ends can crash it then
    # (pydantic issue 12867), and this cache does.
    scenes = (replace(scene, sensing=scene.sensing.astimezone(UTC)) for scene in plan.scenes)
    return replace(plan, scenes=tuple(scenes))
