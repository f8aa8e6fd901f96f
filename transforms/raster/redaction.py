"""Texts that leave the process (logs, errors, records): credentials masked, signs made visible."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Sequence

MASK = "***"
_NAME = (
    r"[A-Za-z0-9_.\-]*(?:secret|token|passw(?:or)?d|passphrase|credential|signature|api[_-]?key"
    r"|access[_-]?key|private[_-]?key|account[_-]?key|authorization|cookie)[A-Za-z0-9_\-]*"
    r"|sig|pwd|auth"
)
_VALUE = rf"""(?!{re.escape(MASK)})[^\s"'&,;|<>{{}}()\[\]\\]+"""
_NAMED = re.compile(
    rf"""(?ix) (?<![A-Za-z0-9_])({_NAME})   # the name
    (\\?["']?\s*(?:=|:|%3D)\s*\\?["']?)             # a sign between, quotes or not
    (?:(?:bearer|basic|digest|aws4-hmac-sha256)\s+)?
    {_VALUE}
    """
)
_OPTION = re.compile(
    rf"""(?ix) (?<![A-Za-z0-9_\-])(--(?:{_NAME}))
    (["']?,?[ \t]+["']?)(?!--){_VALUE}
    """
)
"""An option, and its value as the argument after it, in a command or a list of arguments."""
_PATTERNS = (
    (re.compile(r"(?i)([a-z][a-z0-9+.\-]*://)[^\s/@?#\"'<>]+@"), rf"\1{MASK}@"),
    # A password with a slash in it, which is no valid URL but gets typed; not a port and a path.
    (re.compile(r"(?i)([a-z][a-z0-9+.\-]*://)[^\s/@:]+:(?!\d+/)[^\s@\"'<>]+@"), rf"\1{MASK}@"),
    (re.compile(r"(?i)\b(bearer|basic)\s+[a-z0-9._~+/\-]{8,}=*"), rf"\1 {MASK}"),
    (re.compile(r"\b(?:AKIA|ASIA|AROA|AIDA|AGPA|ANPA)[A-Z0-9]{12,}\b"), MASK),
    (re.compile(r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*"), MASK),
    (
        re.compile(r"(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*-----|\Z)"),
        MASK,
    ),
    (_NAMED, rf"\1\2{MASK}"),
    (_OPTION, rf"\1\2{MASK}"),
)
_SECRET_VARIABLE = re.compile(
    r"(?i)secret|token|passw|credential|api_?key|access_?key|private_?key"
)
_SHORTEST = 8
"""Values of environment variables shorter than this are too common to be looked for."""


def redact(text: str) -> str:
    """The text with credentials masked.

    Masked are: user and password in URLs; AWS access keys; bearer and basic tokens; JSON web
    tokens; private keys; what follows a name such as `secret`, `token`, `password` or `Signature`
    (in query strings, settings, headers and options alike); and, wherever they stand, the values of
    this process's environment variables that are named so.
    """
    for value in _secret_values():
        text = text.replace(value, MASK)
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return text


def harmless(text: str) -> str:
    r"""The text on one line, with all that is not plainly seen made visible.

    Control characters, escapes of terminals, marks that turn the direction of a text and halves of
    characters (from names that are not UTF-8) are written as in Python: `\x1b`, `\u202e`.
    """
    if text.isprintable():
        return text
    return "".join(
        sign if sign.isprintable() else sign.encode("unicode_escape").decode("ascii")
        for sign in text
    )


def redacted_command(arguments: Sequence[str]) -> str:
    """A command as it may be typed again, with credentials masked.

    What an option or a setting of a secret name is given is masked whole: in the quotes that a
    shell needs, `redact` alone would see a part of it.
    """
    shown: list[str] = []
    for before, argument in zip(("", *arguments), arguments, strict=False):
        name, sign, _ = argument.partition("=")
        if before.startswith("--") and is_secret_name(before) and not argument.startswith("--"):
            shown.append(MASK)
        elif sign and is_secret_name(name):
            shown.append(f"{name}={MASK}")
        else:
            shown.append(argument)
    return shlex.join(map(redact, shown))


def is_secret_name(name: str) -> bool:
    """Whether what stands under this name is to be masked."""
    return re.fullmatch(_NAME, name, re.IGNORECASE) is not None


def _secret_values() -> list[str]:
    found = {
        value
        for name, value in os.environ.items()
        if len(value) >= _SHORTEST and _SECRET_VARIABLE.search(name) and not os.path.exists(value)
    }
    return sorted(found, key=len, reverse=True)
