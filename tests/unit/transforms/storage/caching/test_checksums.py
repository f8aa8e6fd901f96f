"""Checksums as catalogues and storages write them."""

import hashlib

import pytest

from transforms.storage.caching import checksums

DATA = b"a band"


@pytest.mark.parametrize(
    ("start", "name"),
    [("d50110", "md5"), ("1220", "sha256"), ("1620", "sha3_256"), ("1440", "sha3_512")],
)
def test_a_multihash_is_read(start, name):
    found = hashlib.new(name, DATA)
    checksum = checksums.from_multihash(f"{start}{found.hexdigest()}".upper())
    assert checksum == f"{name}:{found.hexdigest()}"
    assert checksums.is_known(checksum)
    again = checksums.new(checksum)
    again.update(DATA)
    assert checksums.same(checksum, again)
    again.update(b"!")
    assert not checksums.same(checksum, again)


@pytest.mark.parametrize("text", ["", "1620", "1620" + 62 * "a", "ffff" + 64 * "a", "no hash"])
def test_what_is_no_known_multihash_is_no_checksum(text):
    assert checksums.from_multihash(text) == ""
    assert not checksums.is_known(checksums.from_multihash(text))


def test_an_etag_of_one_part_is_an_md5():
    digest = hashlib.md5(DATA, usedforsecurity=False).hexdigest()
    assert checksums.from_etag(f'"{digest}"') == f"md5:{digest}"
    assert checksums.from_etag(f'"{digest}-12"') == ""
    assert checksums.from_etag("") == ""
