"""Keys come from where a service says, and no message has one."""

import pytest

from transforms.elements import StorageError
from transforms.storage import services, storage
from transforms.storage.gdal_access import gdal_environment
from transforms.storage.services import (
    KeysError,
    Service,
    Services,
    client_options,
    credential_options,
)
from transforms.storage.services.keys import keys_of, refused, refused_reason

ACCESS, SECRET, TOKEN = "PLANTED-ACCESS", "planted-secret", "planted-token"
PLACE = "s3://far-bucket/a.tif"


def far(keys="env:FAR", **changes):
    return Service("far", ("far-bucket",), "http://far.example:9000", keys=keys, **changes)


@pytest.fixture
def told(bare):
    """Keys of FAR in the environment, beside others that AWS_... names."""
    for name, value in {
        "FAR_ACCESS_KEY_ID": ACCESS,
        "FAR_SECRET_ACCESS_KEY": SECRET,
        "AWS_ACCESS_KEY_ID": "OF-OTHERS",
        "AWS_SECRET_ACCESS_KEY": "of-others",
        "AWS_SESSION_TOKEN": "token-of-others",
    }.items():
        bare.setenv(name, value)
    return bare


def test_keys_of_variables(told):
    assert tuple(keys_of(far(), PLACE)) == (ACCESS, SECRET, "")
    told.setenv("FAR_SESSION_TOKEN", TOKEN)
    assert tuple(keys_of(far(), PLACE)) == (ACCESS, SECRET, TOKEN)


@pytest.mark.parametrize("end", ["\n", "\r", "ä", "a b"])
def test_a_key_with_a_character_that_no_key_has_is_one_line(told, end):
    told.setenv("FAR_SECRET_ACCESS_KEY", f"{SECRET}{end}{SECRET}")
    told.setenv("AWS_ACCESS_KEY_ID", f"{ACCESS}{end}")
    for service, name in ((far(), "FAR_SECRET_ACCESS_KEY"), (far("default"), "AWS_ACCESS_KEY_ID")):
        with pytest.raises(KeysError, match=f"far: {name} has a space") as error:
            client_options(service, PLACE, {})
        assert ACCESS not in str(error.value)
        assert SECRET not in str(error.value)


def test_keys_of_a_profile(told, tmp_path):
    file = tmp_path / "credentials"
    file.write_text(f"[mine]\naws_access_key_id = {ACCESS}\naws_secret_access_key = {SECRET}\n")
    told.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
    assert tuple(keys_of(far("profile:mine"), PLACE)) == (ACCESS, SECRET, "")
    with pytest.raises(KeysError, match=r"no credentials here; set profile none of ~/\.aws"):
        keys_of(far("profile:none"), PLACE)


def test_no_other_keys_reach_gdal(told):
    options = credential_options(far(region="default"), PLACE)
    assert options == {
        "AWS_REGION": "default",
        "AWS_ACCESS_KEY_ID": ACCESS,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_SESSION_TOKEN": "",
        "AWS_NO_SIGN_REQUEST": "NO",
    }
    unsigned = credential_options(far("anonymous", region="default"), PLACE)
    assert unsigned["AWS_NO_SIGN_REQUEST"] == "YES"
    assert not {ACCESS, SECRET, "OF-OTHERS"} & set(unsigned.values())


def test_gdal_trusts_the_certificates_that_s3fs_trusts(told, tmp_path):
    assert "GDAL_CURL_CA_BUNDLE" not in credential_options(far(region="default"), PLACE)
    (tmp_path / "config").write_text("[default]\nca_bundle = /of/the/file.pem\n")
    told.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    options = credential_options(far(region="default"), PLACE)
    assert options["GDAL_CURL_CA_BUNDLE"] == "/of/the/file.pem"
    told.setenv("AWS_CA_BUNDLE", "/of/the/variable.pem")
    options = credential_options(far(region="default"), PLACE)
    assert options["GDAL_CURL_CA_BUNDLE"] == "/of/the/variable.pem"


@pytest.mark.parametrize("missing", ["FAR_ACCESS_KEY_ID", "FAR_SECRET_ACCESS_KEY"])
def test_a_missing_key_is_one_line(told, missing):
    told.delenv(missing)
    services.use(Services((far(help="https://keys.example"),)))
    expected = (
        f"{PLACE}: storage service far has no credentials here; set FAR_ACCESS_KEY_ID and "
        "FAR_SECRET_ACCESS_KEY, made at https://keys.example"
    )
    for ask in (storage.size, storage.is_file, storage.listing, storage.sha256):
        with pytest.raises(KeysError) as caught:
            ask(PLACE)
        assert str(caught.value) == expected
    with pytest.raises(KeysError), gdal_environment("/vsis3/far-bucket/a.tif"):
        pass


def test_no_key_is_shown(told):
    told.setenv("FAR_SESSION_TOKEN", TOKEN)
    keys = keys_of(far(), PLACE)
    assert not any(part in repr(keys) for part in keys)
    assert storage.masked(f"a {ACCESS} b {SECRET} c {TOKEN}") == "a *** b *** c ***"


def test_what_a_service_says_of_keys():
    line = refused_reason(far(), "ExpiredToken")
    assert "FAR_ACCESS_KEY_ID and FAR_SECRET_ACCESS_KEY (ExpiredToken)" in line
    assert storage.masked(line) == line
    assert refused_reason(far(), "AccessDenied") is None


def test_refused_keys_among_the_causes():
    scene, keys = ValueError("a scene"), KeysError(PLACE, "refused")
    scene.__cause__ = OSError("not readable")
    assert refused(scene) is None
    scene.__cause__.__context__ = keys
    assert refused(scene) is keys


def test_rasters_of_a_limited_service_are_not_read_in_windows(told):
    services.use(Services((far(connections=2),)))
    with (
        pytest.raises(StorageError, match=r"limits requests, .*access: download"),
        gdal_environment("/vsis3/far-bucket/a.tif"),
    ):
        pass
