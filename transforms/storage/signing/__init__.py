"""Signed addresses: some HTTP hosts give a file only if its address has a token.

Locations have no token, because a token expires after about an hour; it is added when a file is
read. The host of a location decides which signer gives the token.
"""

from .tokens import NO_OTHERS, SHIPPED, Signer, Signers, add, current, forget, signed, use

__all__ = ["NO_OTHERS", "SHIPPED", "Signer", "Signers", "add", "current", "forget", "signed", "use"]
