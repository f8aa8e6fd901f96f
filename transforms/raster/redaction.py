"""Texts that leave the process (logs, errors, records): credentials masked, signs made visible."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator, Sequence
from urllib.parse import quote, unquote

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
_SPACED = re.compile(
    rf"(?i)(?<![A-Za-z0-9_])({_NAME}|(?:secret |account |private )?(?:access )?keys?)([ \t]+)"
    r"(?=[^\s]*\d)[A-Za-z0-9/+=_.\-]{16,}"
)
"""A name and, after spaces alone, what looks like a key."""
_QUERY = re.compile(
    r"(?i)([?&;](?:[\w.\-]*key|code|pass\w*|pw|user\w*|login|jwt|sas|sid|session\w*|ticket|hash|otp"
    r"|pin|assertion|access\w*)=)[^\s&#\"'<>]+"
)
"""Of a URL's query, also names that elsewhere say nothing."""
_SCHEME = re.compile(
    r"(?i)(?<![a-z0-9+.\-])[a-z][a-z0-9+.\-]*(?:://|(?P<coded>%(?:25)*3A(?:%(?:25)*2F){2}))"
)
_AT = re.compile(r"(?i)@|%(?:25)*40")
_AUTHORITY = re.compile(r"""[^/?#\s"'<>]*""")
_HOST = re.compile(r"(?i)(?:\[[0-9a-f:.%]*\]|[^:@]*)(?::\d+)?[\]).,;:}>]*")
"""A host, with a port or without, and a sentence's signs after it."""
_PATTERNS = (
    (re.compile(r"(?i)\b(bearer|basic)\s+[a-z0-9._~+/\-]{8,}=*"), rf"\1 {MASK}"),
    (re.compile(r"\b(?:AKIA|ASIA|AROA|AIDA|AGPA|ANPA)[A-Z0-9]{12,}\b"), MASK),
    (re.compile(r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*"), MASK),
    (
        re.compile(r"(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*-----|\Z)"),
        MASK,
    ),
    (_NAMED, rf"\1\2{MASK}"),
    (_OPTION, rf"\1\2{MASK}"),
    (_SPACED, rf"\1\2{MASK}"),
    (_QUERY, rf"\1{MASK}"),
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
    this process's environment variables that are named so, and what `learn` has learnt.

    Where it cannot be told whether a part of a URL is a password (people type them with `@`, `/`
    and spaces in them), it is masked.
    """
    for value in _secret_values():
        text = text.replace(value, MASK)
    for start, end in reversed(list(_credentials(text))):
        text = f"{text[:start]}{MASK}{text[end:]}"
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


def learn(text: str) -> None:
    """Mask from now on the credentials in the URLs of a text, and the parts of them, anywhere.

    Libraries tell of a URL what they take for its host or its path, which may be half a password.
    """
    for start, end in _credentials(text, greedy=True):
        secret = text[start:end].partition(":")[2] or text[start:end]
        _learn_parts(secret)
    for found in _QUERY.finditer(text):
        _learn_parts(found[0].partition("=")[2])


def learn_arguments(arguments: Sequence[str]) -> None:
    """Do so with a command line, and with what its options of a secret name are given."""
    for before, argument in zip(("", *arguments), arguments, strict=False):
        learn(argument)
        name, sign, value = argument.partition("=")
        if before.startswith("--") and is_secret_name(before) and not argument.startswith("--"):
            _learn_parts(argument)
        elif sign and is_secret_name(name):
            _learn_parts(value)


def _learn_parts(secret: str) -> None:
    for form in (secret, unquote(secret), quote(secret, safe="")):
        parts = {form, *re.split(r"[@/:?#&=\s]+", form)}
        _LEARNT.update(part for part in parts if len(part) >= _SHORTEST_PART)


def _credentials(text: str, *, greedy: bool = False) -> Iterator[tuple[int, int]]:
    """Where in a text user and password of URLs stand; if greedy, as far as they may reach."""
    reached = 0
    for scheme in _SCHEME.finditer(text):
        start = scheme.end()
        if start < reached or text.startswith(MASK, start):
            continue
        line = text[start:].partition("\n")[0]
        token = re.split(r"\s", line, maxsplit=1)[0]
        authority = _AUTHORITY.match(line)[0]  # type: ignore[index]
        odd = not _HOST.fullmatch(authority)  # what is no port follows a colon, or an @ is there
        if not odd and not scheme["coded"] and ":" not in authority:
            continue
        # A space is part of a password, not the end of the URL, where no @ has come yet.
        beyond = greedy or (odd and not _AT.search(token))
        signs = [found.start() for found in _AT.finditer(line if beyond else token)]
        if signs or (odd and not scheme["coded"]):
            reached = start + (signs[-1] if signs else len(token))
            yield start, reached


_LEARNT: set[str] = set()
_SHORTEST_PART = 4


def _secret_values() -> list[str]:
    found = {
        value
        for name, value in os.environ.items()
        if len(value) >= _SHORTEST and _SECRET_VARIABLE.search(name) and not os.path.exists(value)
    }
    return sorted(found | _LEARNT, key=len, reverse=True)
