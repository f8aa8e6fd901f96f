"""Planted credentials do not come through, whatever the form; ordinary text does."""

import pytest

from transforms.raster.redaction import redact, redacted_command

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
        "https://host:8443/path@2x.tif",
        "tile=33UUU block=r0_c0_512x512 seconds=1.5",
        "cleaning.minimum: Input should be less than or equal to 1, given 2",
        "models: DEMONSTRATION_MODEL_CNN_33U.h5: no HDF5 file",
        "ghsl-beam run a.yaml --no_token --quiet",
        "ghsl-beam run token b.yaml",
        "zone 33U: no model; set models.fallback=nearest",
    ],
)
def test_ordinary_text_is_left_alone(text):
    assert redact(text) == text


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
