"""The credits that the inputs require; every product has them."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Protocol

SENTINEL = "contains modified Copernicus Sentinel data"
JRC = (
    "GHS-S2Net models: European Commission, Joint Research Centre (Corbane, Syrris, Sabo et al. "
    "2020), CC BY 4.0"
)

SENTINEL_TERMS = (
    "https://sentinels.copernicus.eu/documents/247904/690755/Sentinel_Data_Legal_Notice"
)
JRC_TERMS = "https://creativecommons.org/licenses/by/4.0/"
_SENTINEL_TERMS = f"Copernicus Sentinel data: {SENTINEL_TERMS}"
CREDITS_TAG = "CREDITS"
"""Tag of a product with the credits of its inputs, and of nothing else."""
_BETWEEN = "; "


class Origin(StrEnum):
    """Who made a network, as far as its file proves it."""

    PUBLISHED = "published"
    """The JRC: the checksum is that of one of its published files."""
    OWN = "own"
    """A user of this program."""
    STARTER = "starter"
    """This program: the starter network, or a copy of it."""
    DEMONSTRATION = "demonstration"
    UNPROVEN = "unproven"
    """Unknown: the file does not say it, and its checksum is not known."""


class Network(Protocol):
    """The facts about a network that the credits need."""

    @property
    def file(self) -> str:
        """Name of its file."""

    @property
    def sha256(self) -> str:
        """SHA-256 of its file."""

    @property
    def origin(self) -> Origin:
        """Who made it."""

    @property
    def trained(self) -> str:
        """The note of a network of this program about its training, may be empty."""


def credits_of(networks: Iterable[Network], *others: str) -> tuple[str, ...]:
    """The credits of products that these networks were used for, each once.

    The JRC is credited only for files that it published.

    Args:
        networks: the networks.
        others: the credits of the residential classifier and of the calibration; empty ones are
            left out.
    """
    unique = {network.sha256: network for network in networks}
    lines = [_line(network) for _, network in sorted(unique.items(), key=lambda i: i[1].file)]
    published = [line for line in lines if line == JRC]
    own = (line for line in lines if line != JRC)
    return (SENTINEL, *published[:1], *own, *(line for line in others if line))


def credit_line(networks: Iterable[Network], *others: str) -> str:
    """The same credits as one text."""
    return line_of(credits_of(networks, *others))


def line_of(lines: Iterable[str]) -> str:
    """Join credits to one text."""
    return _BETWEEN.join(lines)


def lines_of(text: str) -> list[str]:
    """Split a text of `credit_line` into its credits."""
    return text.split(_BETWEEN)


def licence_of(text: str) -> str:
    """The licence of a product with these credits, by its name in STAC.

    The networks of the JRC are published under CC BY 4.0. The licence of other networks is unknown.
    """
    return "CC-BY-4.0" if set(lines_of(text)) == {SENTINEL, JRC} else "other"


def licence_text(text: str) -> str:
    """The licence of a product with these credits, in words for a person.

    A product of a network that is not the JRC's belongs to whoever made it; only they can say its
    licence.
    """
    lines = set(lines_of(text))
    if lines == {SENTINEL}:
        return _SENTINEL_TERMS
    if licence_of(text) == "CC-BY-4.0":
        return f"CC BY 4.0; {_SENTINEL_TERMS}"
    named = f"CC BY 4.0 for {JRC.partition(':')[0]}; " if JRC in lines else ""
    return f"{named}set by the makers of the models that {CREDITS_TAG} names; {_SENTINEL_TERMS}"


def _line(network: Network) -> str:
    if network.origin is Origin.PUBLISHED:
        return JRC
    if network.origin is Origin.DEMONSTRATION:
        return f"network {network.file}: a demonstration of ghsl-beam, no model of the JRC"
    note = f": {network.trained}" if network.trained else ""
    if network.origin is Origin.STARTER:
        return f"network {network.file}: starter network of ghsl-beam, no model of the JRC{note}"
    if network.origin is Origin.OWN:
        return f"network {network.file}: trained with ghsl-beam, no model of the JRC{note}"
    return f"network {network.file} (SHA-256 {network.sha256[:12]}): its maker is not proven"
