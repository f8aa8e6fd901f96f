"""What the PTransforms of all stages have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import FrozenInstanceError
from typing import Any

import apache_beam as beam

from .reporter import Reporter


class StageTransform(beam.PTransform):
    """A PTransform whose parameters are the fields of a dataclass, set once.

    A frozen dataclass would do, but Beam sets a transform's label when it is applied.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        fields = getattr(type(self), "__dataclass_fields__", {})
        if name in fields and name in self.__dict__:
            raise FrozenInstanceError(f"cannot assign to parameter {name!r}")
        super().__setattr__(name, value)


class TellAtBundleEnd(beam.DoFn):
    """Calls `function` on each element; writes the progress counters when a bundle finishes.

    For the last transform of a fused stretch: the bundle then ends for all before it.
    """

    def __init__(self, reporter: Reporter, function: Callable[[Any], Iterable[Any]]) -> None:
        """Keep both."""
        self._reporter, self._function = reporter, function

    def process(self, element: Any) -> Iterable[Any]:
        """All that the function yields."""
        return self._function(element)

    def finish_bundle(self) -> None:
        """The sums reach the storage."""
        self._reporter.write_sums()
