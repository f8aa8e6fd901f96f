"""Names in the folder of a cache, and which entry goes first."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.elements import SourceFile
from transforms.storage.caching import entries
from transforms.storage.caching.entries import Entry, Note, make_room

FILE = SourceFile("s3://eodata/a/B02.jp2", 10, '"abc"', "")


def test_another_version_has_another_name():
    others = [
        SourceFile("s3://eodata/a/B03.jp2", 10, '"abc"'),
        SourceFile("s3://eodata/a/B02.jp2", 11, '"abc"'),
        SourceFile("s3://eodata/a/B02.jp2", 10, '"abd"'),
        SourceFile("s3://eodata/a/B02.jp2", 10, "", "md5:00"),
        SourceFile("s3://eodata/a/B02.jp2", 10, "", "md5:01"),
    ]
    names = {entries.name_of(file) for file in [FILE, *others]}
    assert len(names) == 6
    checked = SourceFile("s3://eodata/a/B02.jp2", 10, '"abc"', "md5:00")
    assert entries.name_of(checked) == entries.name_of(FILE)  # only some catalogues have checksums
    assert entries.name_of(SourceFile("s3://eodata/A.ZIP", 1)).endswith(".zip")


def test_the_least_recently_used_goes_first():
    found = [Entry("c.file", 4, 3.0), Entry("a.file", 4, 1.0), Entry("b.file", 4, 2.0)]
    gone = []
    assert make_room(found, 5, lambda entry: not gone.append(entry.name)) == 8
    assert gone == ["a.file", "b.file"]


def test_what_is_in_use_stays():
    found = [Entry("a.file", 4, 1.0), Entry("b.file", 4, 2.0), Entry("c.file", 4, 3.0)]
    gone = []

    def remove(entry):
        if entry.name == "a.file":
            return False
        gone.append(entry.name)
        return True

    assert make_room(found, 4, remove) == 4
    assert gone == ["b.file"]


@given(
    st.lists(st.tuples(st.integers(0, 50), st.floats(0, 9), st.booleans()), max_size=12),
    st.integers(-20, 300),
)
def test_no_more_goes_than_is_needed(files, needed):
    found = [Entry(f"{n}.file", size, used) for n, (size, used, _) in enumerate(files)]
    free = {f"{n}.file" for n, (_, _, in_use) in enumerate(files) if not in_use}
    gone = []

    def remove(entry):
        if entry.name in free:
            gone.append(entry)
        return entry.name in free

    room = make_room(found, needed, remove)
    assert room == sum(entry.size for entry in gone)
    assert room >= needed or {entry.name for entry in gone} == free
    assert not gone or room - gone[-1].size < needed
    assert [entry.used for entry in gone] == sorted(entry.used for entry in gone)


def test_a_folder_is_read_without_following_links(tmp_path):
    key = 32 * "a"
    (tmp_path / f"{key}.file").write_bytes(b"12345")
    (tmp_path / f"{key}.700.partial").touch()
    (tmp_path / f"{key}.lock").touch()
    (tmp_path / entries.MARKER).touch()
    (tmp_path / "thesis.doc").touch()
    (tmp_path / "folder").mkdir()
    os.symlink(tmp_path / "thesis.doc", tmp_path / f"{32 * 'b'}.file")
    found = entries.read_folder(tmp_path)
    assert [(entry.name, entry.size) for entry in found.entries] == [(f"{key}.file", 5)]
    assert found.partials == ((key, 700, f"{key}.700.partial"),)
    assert [name for _, name, _ in found.beside] == [f"{key}.lock"]
    assert found.others == (f"{32 * 'b'}.file", "folder", "thesis.doc")
    assert found.size == 705


def test_a_note_is_read_back(tmp_path):
    entries.write_note(tmp_path, "k", Note(5, "abc", "md5:0"), FILE)
    assert entries.read_note(tmp_path, "k") == Note(5, "abc", "md5:0")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"size": "x", "sha256": ""}', "\xff"])
def test_a_damaged_note_is_none(tmp_path, text):
    (tmp_path / "k.note").write_bytes(text.encode("latin-1"))
    assert entries.read_note(tmp_path, "k") is None
