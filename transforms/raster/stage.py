"""What the PTransforms of all stages have in common."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from typing import Any

import apache_beam as beam


class StageTransform(beam.PTransform):
    """A PTransform whose parameters are the fields of a dataclass, set once.

    A frozen dataclass would do, but Beam sets a transform's label when it is applied.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        fields = getattr(type(self), "__dataclass_fields__", {})
        if name in fields and name in self.__dict__:
            raise FrozenInstanceError(f"cannot assign to parameter {name!r}")
        super().__setattr__(name, value)
