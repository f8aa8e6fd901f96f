"""Prints losses: at most some lines, and the command that repairs them."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ghsl_beam.process.terminal import say
from transforms.storage.redaction import redacted_command

_SHOWN = 20
_PARTS = ("stage", "tile", "scene", "file", "reason")


def say_losses(losses: Iterable[Mapping[str, Any]], elsewhere: str) -> None:
    """Print losses, one line for all blocks with the same loss.

    Args:
        losses: the losses, with the keys of a loss in `run.json`.
        elsewhere: where all of them are listed.
    """
    counts = Counter(tuple(str(loss.get(part) or "") for part in _PARTS) for loss in losses)
    for (stage, *where, reason), number in sorted(counts.items())[:_SHOWN]:
        blocks = f" ({number} blocks)" if number > 1 else ""
        say(f"lost in {stage}: {' '.join(part for part in where if part)}: {reason}{blocks}")
    if len(counts) > _SHOWN:
        say(f"and {len(counts) - _SHOWN} more: see {elsewhere}")


def say_remedies(losses: Sequence[Mapping[str, Any]]) -> None:
    """Print for each cause of losses what a person can do."""
    from ghsl_beam.outputs.report.losses import grouped

    for group in grouped(losses):
        say(f"{group.title}: {group.remedy}")


def say_command_again(purpose: str) -> None:
    """Print the command of this process, and what it does if it is run again."""
    say(f"to {purpose}, run again: {redacted_command(['ghsl-beam', *sys.argv[1:]])}")
