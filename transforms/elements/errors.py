"""The errors of the job, by kind; each names the thing at fault in one line."""

from enum import StrEnum


class Cause(StrEnum):
    """Why something could not be made; it decides what a person can do."""

    DAMAGED = "damaged"
    """A product of Sentinel-2 is damaged or cannot be used: another run finds the same."""
    STORAGE = "storage"
    """A storage or a service does not answer now: another run may succeed."""
    MISSING = "missing"
    """A file does not exist."""
    MODEL = "model"
    """A model cannot be used: another run finds the same."""
    MEMORY = "memory"
    """A worker had too little memory."""
    OFFLINE = "offline"
    """The service has the product in an archive: it must be ordered first."""
    NO_SCENE = "no scene"
    """No scene covers a part of the area."""
    FILE = "file"
    """A file of the work area or of the output cannot be read or written."""
    UNKNOWN = ""
    """No stage said why."""


class GhslBeamError(Exception):
    """Base of every error that the job raises on purpose; its text is one line for the user."""


class RequestError(GhslBeamError):
    """The request is wrong (configuration, area, period, missing model): exit code 2."""


class UnavailableError(GhslBeamError):
    """A storage does not answer now, or another launch runs: exit code 1, try again later."""


class SceneError(GhslBeamError):
    """A Sentinel-2 product, or one of its files, cannot be used."""

    def __init__(self, file: str, reason: str) -> None:
        super().__init__(f"{file}: {reason}")
        self.file = file
        self.reason = reason

    def __reduce__(self) -> tuple[type["SceneError"], tuple[str, str]]:
        return type(self), (self.file, self.reason)


class ModelError(GhslBeamError):
    """A model file cannot be used."""

    def __init__(self, file: str, reason: str) -> None:
        super().__init__(f"{file}: {reason}")
        self.file = file
        self.reason = reason

    def __reduce__(self) -> tuple[type["ModelError"], tuple[str, str]]:
        return type(self), (self.file, self.reason)


class RasterError(GhslBeamError):
    """A raster of the work area or of the output cannot be read or written."""


class VersionError(GhslBeamError):
    """A worker has another package, engine or model than the plan names: exit code 1."""


class StrictError(GhslBeamError):
    """A strict job met its first loss: exit code 1."""


class StorageError(RasterError):
    """A file on local or object storage cannot be read, written, listed or removed.

    `absent`: there is no such file. `passing`: the storage does not answer now, but may later.
    """

    def __init__(self, file: str, reason: str, absent: bool = False, passing: bool = False) -> None:
        super().__init__(f"{file}: {reason}")
        self.file = file
        self.reason = reason
        self.absent = absent
        self.passing = passing

    def __reduce__(self) -> tuple[type["StorageError"], tuple[str, str, bool, bool]]:
        return type(self), (self.file, self.reason, self.absent, self.passing)


def cause_of(error: BaseException) -> Cause:
    """The cause of an error.

    Example:
        >>> cause_of(SceneError("B04.jp2", "cannot be read"))
        <Cause.DAMAGED: 'damaged'>
    """
    earlier: BaseException | None = error
    while earlier is not None:
        if isinstance(earlier, StorageError) and earlier.passing:
            return Cause.STORAGE
        earlier = earlier.__cause__
    if isinstance(error, MemoryError):
        return Cause.MEMORY
    if isinstance(error, SceneError):
        return Cause.DAMAGED
    if isinstance(error, ModelError):
        return Cause.MODEL
    if isinstance(error, StorageError) and error.absent:
        return Cause.MISSING
    return Cause.FILE


def check_planned(file: str, found: str, planned: str) -> None:
    """Check by SHA-256 that a worker has the same file as the launch.

    Args:
        file: path or name of the file.
        found: its SHA-256 on the worker.
        planned: its SHA-256 in the plan.

    Raises:
        VersionError: the worker has another file.
    """
    if found != planned:
        raise VersionError(
            f"{file}: a worker has a file with SHA-256 {found[:12]}, the launch planned with "
            f"{planned[:12]}: copy the same file to all machines, and do not change it during a run"
        )


def request_error(text: str, error: Exception) -> RequestError | UnavailableError:
    """The error to raise for a request that `error` makes impossible.

    If the storage does not answer now, the request itself may be right: `UnavailableError`.
    """
    if isinstance(error, StorageError) and error.passing:
        return UnavailableError(text)
    return RequestError(text)
