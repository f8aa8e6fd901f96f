"""Signed addresses: files at an HTTP host that gives them only with a token in their address.

Locations stay without a token, because a token ends after about an hour: it is added when a file is
read. The host of a location says who gives its tokens.
"""

from .tokens import NO_OTHERS, SHIPPED, Signer, Signers, add, current, forget, signed, use

__all__ = ["NO_OTHERS", "SHIPPED", "Signer", "Signers", "add", "current", "forget", "signed", "use"]
