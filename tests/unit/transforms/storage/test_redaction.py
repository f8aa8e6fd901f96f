"""Planted credentials do not come through, whatever the form; ordinary text does."""

import json
import re
from urllib.parse import quote

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from transforms.storage import redaction
from transforms.storage.redaction import (
    MASK,
    harmless,
    learn,
    learn_arguments,
    redact,
    redacted_command,
)

SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"  # noqa: S105 - planted
TOKEN = "FwoGZXIvYXdzEBYaDNplantedplanted"  # noqa: S105 - planted


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        (f"https://user:{SECRET}@host/path", SECRET),
        ("https://onlyuser_hunter2@host/path", "hunter2"),
        ("s3://AKIAIOSFODNN7EXAMPLE:secret@bucket", "AKIAIOSFODNN7EXAMPLE"),
        ("key AKIAIOSFODNN7EXAMPLE was refused", "AKIAIOSFODNN7EXAMPLE"),
        ("ASIAIOSFODNN7EXAMPLE", "ASIAIOSFODNN7EXAMPLE"),
        (f"aws_secret_access_key={SECRET}", SECRET),
        (f"AWS_SECRET_ACCESS_KEY: {SECRET}", SECRET),
        (f"S3FileSystem(secret='{SECRET}')", SECRET),
        (f'{{"secret": "{SECRET}", "anon": false}}', SECRET),
        (f'{{\\"secretKey\\": \\"{SECRET}\\"}}', SECRET),
        (f"--set storage.password={SECRET}", SECRET),
        (f"--s3_secret_access_key {SECRET}", SECRET),
        (f"ghsl-beam run a.yaml --s3_session_token '{SECRET}' --quiet", SECRET),
        (f"['--s3_secret_access_key', '{SECRET}']", SECRET),
        (f"passwd: {SECRET}", SECRET),
        (f"https://h/b?X-Amz-Signature={TOKEN}&x=1", TOKEN),
        (f"https://h/b?X-Amz-Credential={TOKEN}%2F20260101", TOKEN),
        (f"https://h/b?X-Amz-Security-Token={TOKEN}", TOKEN),
        (f"https://h/b?sv=2020&sig={TOKEN}", TOKEN),
        (f"https://h/b?Signature={TOKEN}&Expires=1", TOKEN),
        (f"https://h/b?access_token={TOKEN}", TOKEN),
        (f"https://h/b?key={TOKEN}", TOKEN),
        (f"https://h/b?a=1&subscription-key={TOKEN}", TOKEN),
        (f"https://h/b?code={TOKEN}&pass=x", TOKEN),
        (f"https%3A%2F%2Fbob%3A{TOKEN}%40host%2Fb", TOKEN),
        (f"aws_secret_access_key {SECRET}", SECRET),
        (f"the secret access key  {SECRET}", SECRET),
        (f"s3://AKIA:p@{TOKEN}@bucket/x: refused", TOKEN),
        (f"https://bob:ab/{TOKEN}@127.0.0.1/eodata", TOKEN),
        (f"https://bob:8443/{TOKEN}@127.0.0.1/eodata", TOKEN),
        (f"https://bob:ab cd {TOKEN}@127.0.0.1/eodata", TOKEN),
        (f"https://bob:{TOKEN}", TOKEN),
        (f"Authorization: Bearer {TOKEN}", TOKEN),
        (f"Authorization: Basic {TOKEN}=", TOKEN),
        (f"'Authorization': 'AWS4-HMAC-SHA256 Credential={TOKEN}/x, Signature=0123abcd'", TOKEN),
        (f"header bearer {TOKEN}", TOKEN),
        (f"x-amz-security-token: {TOKEN}", TOKEN),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJwbGFudGVkIn0.c2lnbmF0dXJl", "eyJzdWIi"),
        ("-----BEGIN RSA PRIVATE KEY-----\nplanted\n-----END RSA PRIVATE KEY-----", "planted"),
        ("-----BEGIN PRIVATE KEY-----\nplanted and cut off", "planted"),
    ],
)
def test_no_planted_credential_comes_through(text, secret):
    assert secret not in redact(text)
    assert "***" in redact(text)


def test_values_of_environment_variables_are_masked_wherever_they_stand(monkeypatch):
    monkeypatch.setenv("CDSE_SECRET_KEY", "planted-value-without-a-name")
    assert redact("tried planted-value-without-a-name, refused") == "tried ***, refused"


@pytest.mark.parametrize(
    "text",
    [
        "/data/33UUU/S2A_MSIL1C_20170216T102101_N0204_R065_T33UUU_20170216T102101.SAFE: no XML",
        "https://host:8443/bucket/key?list-type=2&prefix=a",
        "s3://bucket/path@2x.tif",
        "https://host:8443/a, see bob@example.org",
        "s3://bucket: not there; ask bob@example.org",
        "(https://host:443), http://[::1]:8080/a: refused",
        "GET https://[2001:db8::1]/a",
        "the access key is missing; a token is needed",
        "tile=33UUU block=r0_c0_512x512 seconds=1.5",
        "cleaning.minimum: Input should be less than or equal to 1, given 2",
        "models: DEMONSTRATION_MODEL_CNN_33U.h5: no HDF5 file",
        "ghsl-beam run a.yaml --no_token --quiet",
        "ghsl-beam run token b.yaml",
        "zone 33U: no model; set models.fallback=nearest",
        r"C:\Users\bob\tile@2x.tif: refused, see D:/data/a:b",
        r"\\server\share\a.tif: not there; ask bob@example.org",
        "at 12:30, 12:30:05@r0, 3:2@5, a:b@c",
        "mount ../jobs:/jobs:ro and /data:/data, see bob@example.org",
        "//server/share/a@2x.tif, // a comment: none",
        "mailto:alice@example.org, git@github.com:owner/name.git",
        "image python:3.11@sha256:0123456789abcdef",
        "a.py:1234: error; session: 3 of 5 (p=0.05)",
        "file:/data/a@2x.tif: no raster",
    ],
)
def test_ordinary_text_is_left_alone(text):
    assert redact(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("GET https://h/b?token=abc,d(e;f&x=1: refused", "GET https://h/b?token=***&x=1: refused"),
        ("S3(secret='a b', anon=False)", "S3(secret='***', anon=False)"),
        ('{"secret": ["a", "b"], "anon": 1}', '{"secret": ***], "anon": 1}'),
        (r"key_token=a\npath=b", r"key_token=***\npath=b"),
        ("Authorization: Token abc, refused", "Authorization: ***, refused"),
        ("--password=a b --quiet", "--password=*** --quiet"),
        ("--password=abc: no such option", "--password=***: no such option"),
        ("http:/bob:word@host:9/x: refused", "http:/***@host:9/x: refused"),
    ],
)
def test_what_stands_around_a_credential_stays(text, shown):
    assert redact(text) == shown


def test_masking_twice_changes_nothing_more():
    once = redact(f"password={SECRET}, https://u:{SECRET}@h")
    assert redact(once) == once


ODD = "wJ alr&X(ut'nFEMI"


@pytest.mark.parametrize("secret", [SECRET, ODD])
@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        (["--s3_secret_access_key", "{}", "--quiet"], "--s3_secret_access_key '***' --quiet"),
        (["--s3_session_token={}", "--quiet"], "'--s3_session_token=***' --quiet"),
        (["--s3_access_key_id", "{}"], "--s3_access_key_id '***'"),
        (["--set", "storage.password={}"], "--set 'storage.password=***'"),
    ],
)
def test_a_command_is_shown_without_what_its_secret_options_are_given(arguments, shown, secret):
    given = [argument.format(secret) for argument in arguments]
    assert redacted_command(["ghsl-beam", "run", *given]) == f"ghsl-beam run {shown}"


def test_a_command_without_secrets_is_shown_as_it_may_be_typed():
    command = ["ghsl-beam", "run", "my job.yaml", "--quiet", "--parallelism", "2"]
    assert redacted_command(command) == "ghsl-beam run 'my job.yaml' --quiet --parallelism 2"


# Capitals, digits and signs: nothing of it is in the texts around.
PASSWORDS = st.text(
    "ABCDEFGHKLMN0123456789@@::///??##&%=+ .,;!$'\"()[]{}<>|~^*-_", min_size=4
).filter(lambda text: text == text.strip())
TEMPLATES = [
    "{url}",
    "output: {url} is not writable: refused",
    "cannot open '{url}', tried three times",
    "first s3://bucket/a, then {url}",
]


def parts_of(secret):
    return {secret[at : at + 4] for at in range(len(secret) - 3)}


def shows(shown, secret, around=""):
    """Whether a part of a secret is in a text, but for what is around it anyway."""
    pieces = shown.split(MASK)
    return any(
        part in piece and part not in around for part in parts_of(secret) for piece in pieces
    )


def quoted_twice(text):
    return json.dumps(json.dumps(text))[1:-1]


def coded(url):
    return quote(url, safe="")


@given(
    st.sampled_from(["https", "s3"]),
    PASSWORDS,
    st.sampled_from(TEMPLATES),
    st.sampled_from([str, coded]),
)
def test_no_part_of_a_password_in_a_url_is_ever_shown(scheme, password, template, form):
    url = form(f"{scheme}://bob:{password}@host/eodata")
    redaction._LEARNT.clear()
    learn(url)
    shown = redact(template.format(url=url))
    around = template.format(url=form(f"{scheme}://bob:{MASK}@host/eodata"))
    for part in parts_of(form(password) if form is coded else password):
        assert part not in shown or part in around, shown
    redaction._LEARNT.clear()


MISTYPED = [
    "https:/bob:{}@host/eodata",
    "https:\\\\bob:{}@host\\eodata",
    "https:\\bob:{}@host",
    "sftp:/bob:{}@host",
    "//bob:{}@host/eodata",
    "bob:{}@host:9000/eodata",
    "http%3a//bob:{}@host",
    "http:%2F/bob:{}@host",
]


@given(PASSWORDS, st.sampled_from(MISTYPED), st.sampled_from(TEMPLATES))
def test_nor_where_the_scheme_is_mistyped_or_left_out(password, form, template):
    # Without a scheme, `host:/a@b` and `line 3: 12:@x` are no credentials.
    assume(" " not in password and not re.match(r"[/\\]|[\d:]*(:@|$)", password))
    shown = redact(template.format(url=form.format(password)))
    assert not shows(shown, password, template.format(url=form)), shown


NAMES = ["password", "pw", "session", "sig", "X-Amz-Security-Token", "access_token", "--token"]


@given(PASSWORDS, st.sampled_from(NAMES), st.sampled_from([json.dumps, repr, quoted_twice]))
def test_no_part_of_a_value_in_quotes_is_shown(secret, name, quoted):
    sign = "=" if name == "session" else ": "
    for text in (
        f"{name}={quoted(secret)}",
        f"Env({name} = {quoted(secret)}, anon=True)",
        f"{{{quoted(name)}{sign}{quoted(secret)}}}",
        f"{{{quoted(name)}{sign}[{quoted(secret)}, {quoted(secret)}]}}"
        * (quoted is not quoted_twice),
    ):
        shown = redact(text)
        assert not shows(shown, secret), shown


AMBIGUOUS = re.compile(r"""^["']|["'][)\]}&;,|:]|[&;,|][A-Za-z][\w.\-]*=""")
"""What begins or ends as a value in quotes, or holds what looks like the next setting."""


@given(PASSWORDS, st.sampled_from(NAMES))
def test_no_part_of_a_value_without_quotes_is_shown(secret, name):
    assume(" " not in secret and not AMBIGUOUS.search(secret))
    for text in (
        f"{name}={secret}",
        f"https://host/b?a=1&{name}={secret} refused",
        f"https://host/b#{name}={secret}",
        f"Authorization: Token {secret}",
        f"cookie: a=1; {name}={secret}",
    ):
        shown = redact(text)
        assert not shows(shown, secret), shown


@given(PASSWORDS)
def test_no_part_of_an_argument_with_spaces_is_shown(secret):
    assume(not re.search(r""" -|[)\]}&;,|.:"']\s""", secret) and not AMBIGUOUS.search(secret))
    shown = redact(f"ghsl-beam run --password={secret} --quiet")
    assert not shows(shown, secret), shown


@pytest.mark.parametrize("name", ["X-Amz-Security-Token", "sig", "access_token", "token", "key"])
@pytest.mark.parametrize("sign", ["?", "#", "?a=1&"])
def test_what_a_query_holds_is_known_from_then_on(name, sign):
    redaction._LEARNT.clear()
    learn(f"https://host/b{sign}{name}=ab,{TOKEN}%2Bcd")
    assert redact(f"cannot reach {TOKEN}@h") == f"cannot reach {MASK}@h"
    redaction._LEARNT.clear()


@given(PASSWORDS)
def test_nor_where_a_library_tells_of_a_part_of_the_url(password):
    """What it takes for the host, the path or the last name in it."""
    redaction._LEARNT.clear()
    url = f"https://bob:{password}@host/eodata"
    learn(url)
    for sign in "@/:?#":
        for piece in url.split(sign):
            shown = redact(f"cannot connect to {piece}: no such host")
            for part in re.split(r"[@/:?#&=\s]+", password):
                assert len(part) < 4 or part not in shown, shown
    redaction._LEARNT.clear()


@given(st.text(min_size=8, alphabet="ABCDEFGHKLMN0123456789+/="))
def test_what_a_secret_option_is_given_is_known_from_then_on(secret):
    redaction._LEARNT.clear()
    learn_arguments(["run", "job.yaml", "--s3_secret_access_key", secret])
    assert secret not in redact(f"InvalidKey at {secret}")
    learn_arguments(["run", "--set", f"storage.password={secret}"])
    assert secret not in redact(json.dumps({"tried": secret}))
    redaction._LEARNT.clear()


@given(st.text())
def test_a_harmless_text_is_one_plain_line_and_stays_so(text):
    shown = harmless(text)
    assert shown.isprintable()
    assert harmless(shown) == shown
    if text.isprintable():
        assert shown == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2Jgone", r"\x1b[2Jgone"),
        ("\x9b31mred", r"\x9b31mred"),
        ("a\rb\nc", r"a\rb\nc"),
        ("a\u202egpj.exe", r"a\u202egpj.exe"),
        ("\u2066x\u200bx", r"\u2066x\u200bx"),
        ("caf\udce9", r"caf\udce9"),
        ("\x07\x00", r"\x07\x00"),
        ("[/x] [red]Ærøskøbing 東京", "[/x] [red]Ærøskøbing 東京"),
    ],
)
def test_what_is_not_plainly_seen_is_made_visible(text, shown):
    assert harmless(text) == shown
