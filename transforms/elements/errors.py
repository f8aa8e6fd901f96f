"""What can go wrong, by kind; each error names the thing at fault in one line."""


class GhslBeamError(Exception):
    """Base of every error the job raises on purpose; its text is one line for the user."""


class RequestError(GhslBeamError):
    """The request is wrong (configuration, area, period, missing model): exit code 2."""


class UnavailableError(GhslBeamError):
    """A storage does not answer now, or another launch is at work: exit code 1, try again."""


class SceneError(GhslBeamError):
    """A Sentinel-2 product, or a file of it, cannot be used."""

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
    """A worker has another package, engine or model than was planned with: exit code 1."""


class StrictError(GhslBeamError):
    """A strict job met its first loss: exit code 1."""


class StorageError(RasterError):
    """A file on local or object storage cannot be read, written, listed or removed.

    `absent`: there is none. `passing`: the storage does not answer now, and may later.
    """

    def __init__(self, file: str, reason: str, absent: bool = False, passing: bool = False) -> None:
        super().__init__(f"{file}: {reason}")
        self.file = file
        self.reason = reason
        self.absent = absent
        self.passing = passing

    def __reduce__(self) -> tuple[type["StorageError"], tuple[str, str, bool, bool]]:
        return type(self), (self.file, self.reason, self.absent, self.passing)


def check_planned(file: str, found: str, planned: str) -> None:
    """Whether a file is the one that the launch looked at, by SHA-256.

    Raises:
        VersionError: it is another.
    """
    if found != planned:
        raise VersionError(
            f"{file}: a worker found SHA-256 {found[:12]}, the launch planned with {planned[:12]}: "
            "give all machines the same file, and leave it as it is while the job runs"
        )


def request_error(text: str, error: Exception) -> RequestError | UnavailableError:
    """The error of a request that names what `error` says cannot be used.

    Where the storage does not answer now, the request is not at fault.
    """
    if isinstance(error, StorageError) and error.passing:
        return UnavailableError(text)
    return RequestError(text)
