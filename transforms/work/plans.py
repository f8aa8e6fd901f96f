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
    """The installed versions of this package and of Beam, as text."""
    package, beam = package_version("ghsl-beam"), package_version("apache-beam")
    return f"ghsl-beam {package} with Beam {beam}"


@dataclass(frozen=True, slots=True)
class Plans:
    """The plans of tiles in a work area.

    A worker caches the plans by their path and `launch`. `version` is the version of the launcher;
    a worker with another version must not use its plans.
    """

    folder: str
    launch: str = ""
    version: str = field(default_factory=installed_version)

    def path(self, tile: str) -> str:
        """The path of a tile's plan."""
        return storage.join(self.folder, "plan", f"{tile}.json")

    def write(self, plan: TilePlan) -> None:
        """Write a tile's plan for the workers."""
        storage.write_whole(self.path(plan.tile), _PLANS.dump_json(plan))

    def read(self, tile: str) -> TilePlan:
        """Read a tile's plan on a worker.

        Raises:
            VersionError: this worker has another version of the package than the launcher.
            RasterError: the plan is missing.
        """
        if self.version != installed_version():
            raise VersionError(
                f"a worker has {installed_version()}, the launcher has {self.version}: "
                "install the same versions on all machines"
            )
        return self.stored(tile)

    def stored(self, tile: str) -> TilePlan:
        """The plan of a tile, of any version, read once for each process and launch.

        Raises:
            RasterError: the plan is missing.
        """
        path = self.path(tile)
        try:
            return _read(path, self.launch)
        except StorageError as error:
            raise RasterError(f"{path}: cannot read the tile's plan: {error.reason}") from error

    def tiles(self) -> list[str]:
        """The tiles that have a plan."""
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
    # A time zone object of pydantic that lives until the interpreter ends can crash it
    # (pydantic issue 12867), and this cache lives that long.
    scenes = (replace(scene, sensing=scene.sensing.astimezone(UTC)) for scene in plan.scenes)
    return replace(plan, scenes=tuple(scenes))
