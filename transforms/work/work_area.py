"""The work area of a job: its plans, block files, losses, notes and reporter in one place."""

from __future__ import annotations

from dataclasses import dataclass, field

from .block_files import BlockFiles
from .job_reporter import JobReporter
from .losses import Losses
from .notes import Notes
from .plans import Plans, installed_version


@dataclass(frozen=True, slots=True)
class WorkArea:
    """The place of a launch's files. It holds only a location, so it can be sent to workers.

    Its parts are made when they are used. A `strict` job stops at its first loss. `version` is the
    version of the launcher; see `Plans`.
    """

    folder: str
    launch: str = ""
    strict: bool = False
    version: str = field(default_factory=installed_version)

    @property
    def plans(self) -> Plans:
        """The plans of tiles."""
        return Plans(self.folder, self.launch, self.version)

    @property
    def blocks(self) -> BlockFiles:
        """The block files."""
        return BlockFiles(self.folder, self.plans)

    @property
    def losses(self) -> Losses:
        """The losses of the launch."""
        return Losses(self.folder)

    @property
    def notes(self) -> Notes:
        """The products published since the record was last complete."""
        return Notes(self.folder)

    @property
    def reporter(self) -> JobReporter:
        """The reporter of the stages."""
        return JobReporter(self.folder, self.launch, self.strict)
