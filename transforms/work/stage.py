"""The common base of the PTransforms of all stages."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import FrozenInstanceError
from typing import Any

import apache_beam as beam

from .reporter import Reporter


class StageTransform(beam.PTransform):
    """A PTransform whose parameters are the fields of a dataclass and cannot change.

    A frozen dataclass is not possible, because Beam sets the label of a transform when it applies
    it.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        fields = getattr(type(self), "__dataclass_fields__", {})
        if name in fields and name in self.__dict__:
            raise FrozenInstanceError(f"cannot assign to parameter {name!r}")
        super().__setattr__(name, value)


class TellAtBundleEnd(beam.DoFn):
    """Calls `function` on each element; writes the progress counters when a bundle finishes.

    It is for the last transform of a line: the bundle of all transforms before it ends there too.
    """

    def __init__(self, reporter: Reporter, function: Callable[[Any], Iterable[Any]]) -> None:
        """Keep the reporter and the function."""
        self._reporter, self._function = reporter, function

    def process(self, element: Any) -> Iterable[Any]:
        """Yield everything that the function yields."""
        return self._function(element)

    def finish_bundle(self) -> None:
        """Write the sums to the storage."""
        self._reporter.write_sums()
