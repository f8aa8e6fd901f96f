"""Masks credentials, and makes control characters visible, in logs, errors and records."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator, Sequence
from urllib.parse import quote, unquote

MASK = "***"
_NAME = (
    r"[A-Za-z0-9_.\-]*(?:secret|token|passw(?:or[dt]|d)|kennwort|mot_?de_?passe|passphrase|credential|signature|api[_-]?key"
    r"|access[_-]?key|private[_-]?key|account[_-]?key|authorization|cookie)[A-Za-z0-9_\-]*"
    r"|(?:[A-Za-z0-9_.\-]*[_.\-])?(?:sig|pwd?|auth)"
)
_PLAIN = r"""
    (?: (?! [&;,|][A-Za-z][\w.\-]*=                       # the next setting begins
          | \\+[nrt](?:[\w.\-]*\\*["']?\s*[=:]|["'\s]|$)  # so too, on a line of its own
          | [)\]}&;,|.:"'\\]{0,3}(?:\s|$) )               # signs of a sentence or a structure
        (?: [^\s"'\\] | \\(?!\\*["']) | \\*["'](?![)\]}&;,|:\s]|$) ) )"""
_VALUE = rf"""
    (?: (?P<quote>["']) (?: (?!(?P=quote)) (?:\\.|[^\n]) )+     # in quotes, as far as they reach
      | (?P<escaped>\\+["']) (?: (?!(?P=escaped)) \\*[^\n] )+  # so too where they are escaped
      | [\[({{] (?: "(?:\\.|[^"\\\n])*" | '(?:\\.|[^'\\\n])*' | [^\])}}"'\n] )* (?=[\])}}])
        {_PLAIN}*                                               # a list
      | {_PLAIN}+ )"""
_SIGN = r"""\\*["']?\s*(?:=|:|%3D)\s*"""
_HEADER = re.compile(
    rf"""(?ix) (?<![A-Za-z0-9_]) (?P<kept> (?:(?:proxy-)?authorization|(?:set-)?cookie) {_SIGN} )
    (?:[A-Za-z][\w\-]*[ \t]+)? {_VALUE} (?: [,;][ \t]*[\w\-]+=(?:"[^"\n]*"|[^\s,;"']+) )*
    """
)
"""A header: a scheme name may come first, and more parts of the credential after a comma."""
_NAMED = re.compile(
    rf"""(?ix) (?<![A-Za-z0-9_])
    (?P<kept> (?: {_NAME} | session(?:[_-]?id)?(?=\\*["']?\s*=) ) {_SIGN} )
    (?:(?:bearer|basic|digest|aws4-hmac-sha256)\s+)?
    {_VALUE}
    """
)
"""A name, a sign and a value, in quotes or not; `session: 3` is no credential."""
_OPTION = re.compile(
    rf"""(?ix) (?<![A-Za-z0-9_\-])
    (?P<kept> --(?:{_NAME}) ["']?,?[ \t]+ ) (?!["']?--) {_VALUE}
    """
)
"""An option followed by its value as the next argument, in a command or a list of arguments."""
_ARGUMENT = re.compile(
    rf"""(?ix) (?<![A-Za-z0-9_\-]) (?P<kept> --(?:{_NAME})= ) (?!{re.escape(MASK)})
    (?!\\*["']) {_PLAIN}+ (?: [ \t]+(?!-){_PLAIN}+ )*
    """
)
"""An option with its value, as a shell has parsed it: it can contain spaces up to the next one."""
_SPACED = re.compile(
    rf"(?i)(?<![A-Za-z0-9_])({_NAME}|(?:secret |account |private )?(?:access )?keys?)([ \t]+)"
    r"(?=[^\s]*\d)[A-Za-z0-9/+=_.\-]{16,}"
)
"""A name, spaces, and text that looks like a key."""
_QUERY = re.compile(
    rf"""(?ix)
    (?P<kept> [?&;\#] (?: {_NAME} | [\w.\-]*key|code|pass\w*|pw|user\w*|login|jwt|sas|sid|session\w*
      |ticket|hash|otp|pin|assertion|access\w* )= )
    {_VALUE}
    """
)
"""A parameter in the query of a URL; here more names mean a credential than elsewhere."""
_SCHEME = re.compile(
    r"""(?ix)
    (?<![a-z0-9+.\-])
      (?: (?:https?|s3[an]?|ftps?|gs|hdfs):[/\\]+ | [a-z][a-z0-9+.\-]*:[/\\]{2,}
        | (?P<mistyped> [a-z][a-z0-9+.\-]+:[/\\] )
        | [a-z][a-z0-9+.\-]+ (?P<coded> (?: %(?:25)*3A | : ) (?: %(?:25)*(?:2F|5C) | [/\\] )+ ) )
    | (?P<none> (?<![^\s"'(\[{<=,]) [/\\]{2,} )
    | (?<![\w.+%\-/\\:@]) (?!mailto:) (?![\d:.]+@) (?![\w.\-]+:[\d:]*:@)
      (?= [\w.+%\-]{1,128} : (?![/\\]) \S{4,256}? @(?!sha256:)[\w\[] )
    """
)
"""The place where user and password of a URL may begin: after its scheme, even a mistyped one, or
without a scheme."""
_AT = re.compile(r"(?i)@|%(?:25)*40")
_AUTHORITY = re.compile(r"""[^/\\?#\s"'<>]*""")
_TOKEN = re.compile(r"[^\s:@/]+:\s+[^\s@]*@\S*|\S*")
"""The text of one URL; a password may have been typed with a space before it."""
_HOST = re.compile(r"(?i)(?:\[[0-9a-f:.%]*\]|[^:@]*)(?::\d+)?[\]).,;:}>]*")
"""A host, with or without a port, and the punctuation of a sentence after it."""
_PATTERNS = (
    (re.compile(r"(?i)\b(bearer|basic)\s+[a-z0-9._~+/\-]{8,}=*"), rf"\1 {MASK}"),
    (re.compile(r"\b(?:AKIA|ASIA|AROA|AIDA|AGPA|ANPA)[A-Z0-9]{12,}\b"), MASK),
    (re.compile(r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*"), MASK),
    (
        re.compile(r"(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*-----|\Z)"),
        MASK,
    ),
    (_HEADER, rf"\g<kept>\g<quote>\g<escaped>{MASK}"),
    (_ARGUMENT, rf"\g<kept>{MASK}"),
    (_NAMED, rf"\g<kept>\g<quote>\g<escaped>{MASK}"),
    (_OPTION, rf"\g<kept>\g<quote>\g<escaped>{MASK}"),
    (_SPACED, rf"\1\2{MASK}"),
    (_QUERY, rf"\g<kept>\g<quote>\g<escaped>{MASK}"),
)
_SECRET_VARIABLE = re.compile(
    r"(?i)secret|token|passw|credential|api_?key|access_?key|private_?key"
)
_SHORTEST = 8
"""Shorter values of environment variables are too common to search for."""


def redact(text: str) -> str:
    """The text with credentials masked.

    These are masked: user and password in URLs; AWS access keys; bearer and basic tokens; JSON web
    tokens; private keys; the value after a name such as `secret`, `token`, `password` or
    `Signature`, in query strings, settings, headers and options. Values of environment variables of
    this process with such names, and values that `learn` was given, are masked everywhere.

    People type passwords with `@`, `/` and spaces in them. If a part of a URL may be a password, it
    is masked.
    """
    for value in _secret_values():
        text = text.replace(value, MASK)
    for start, end in reversed(list(_credentials(text))):
        text = f"{text[:start]}{MASK}{text[end:]}"
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return text


def harmless(text: str) -> str:
    r"""The text on one line, with every character visible.

    Control characters, terminal escapes, marks that change the direction of text, and surrogates
    (from names that are not UTF-8) are written as in Python: `\x1b`, `\u202e`.
    """
    if text.isprintable():
        return text
    return "".join(
        sign if sign.isprintable() else sign.encode("unicode_escape").decode("ascii")
        for sign in text
    )


def redacted_command(arguments: Sequence[str]) -> str:
    """A command that can be typed again, with credentials masked.

    The value of an option or a setting with a secret name is masked whole. Inside the quotes that a
    shell needs, `redact` alone would see only a part of it.
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
    """Whether the value of this name must be masked."""
    return re.fullmatch(_NAME, name, re.IGNORECASE) is not None


def learn(text: str, name: str = "") -> None:
    """Mask the credentials in the URLs of a text from now on, and their parts, everywhere.

    Libraries report the host or the path of a URL as they parse it, which may be half a password.

    Args:
        text: any text.
        name: the name that the text is the value of; a secret name makes the whole text secret.
    """
    for start, end in _credentials(text, greedy=True):
        secret = text[start:end].partition(":")[2] or text[start:end]
        _learn_parts(secret)
    for match in _QUERY.finditer(text):
        _learn_parts(match[0][len(match["kept"]) :].strip("\"'"))
    if is_secret_name(name):
        _learn_parts(text)


def learn_arguments(arguments: Sequence[str]) -> None:
    """Do the same for a command line, and for the values of options with a secret name."""
    for before, argument in zip(("", *arguments), arguments, strict=False):
        after = before.startswith("--") and not argument.startswith("--")
        learn(argument, before if after else "")
        name, sign, value = argument.partition("=")
        if sign:
            learn(value, name)


def _learn_parts(secret: str) -> None:
    for form in (secret, unquote(secret), quote(secret, safe="")):
        parts = {form, *re.split(r"[@/:?#&=\s]+", form)}
        parts.update(re.split(r"%[0-9A-Fa-f]{2}|[^\w.+~!$*\-]+", form))
        _LEARNT.update(part for part in parts if len(part) >= _SHORTEST_PART)


def _credentials(text: str, *, greedy: bool = False) -> Iterator[tuple[int, int]]:
    """Positions of user and password of URLs in a text; if greedy, as far as they may reach."""
    reached = 0
    for scheme in _SCHEME.finditer(text):
        start = scheme.end()
        if start < reached or text.startswith(MASK, start):
            continue
        line = text[start:].partition("\n")[0]
        token = _TOKEN.match(line)[0]  # type: ignore[index]
        plain = unquote(unquote(line)) if scheme["coded"] else line
        authority = _AUTHORITY.match(plain)[0]  # type: ignore[index]
        odd = not _HOST.fullmatch(authority)  # it has a colon without a port, or an @
        if not odd and ":" not in authority:
            continue
        sure = not (scheme["mistyped"] or scheme["none"])  # otherwise it may be one path, or two
        # If no @ has come yet, a space belongs to the password and does not end the URL.
        beyond = sure and (greedy or (odd and not _AT.search(token)))
        signs = [match.start() for match in _AT.finditer(line if beyond else token)]
        if signs or (odd and sure):
            reached = start + (signs[-1] if signs else len(token))
            yield start, reached


_LEARNT: set[str] = set()
_SHORTEST_PART = 4


def _secret_values() -> list[str]:
    secrets = {
        value
        for name, value in os.environ.items()
        if len(value) >= _SHORTEST and _SECRET_VARIABLE.search(name) and not os.path.exists(value)
    }
    return sorted(secrets | _LEARNT, key=len, reverse=True)
