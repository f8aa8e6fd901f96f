from transforms.rasters.seal import Sum
from transforms.storage import storage
from transforms.work.notes import Note, Notes


def test_the_last_note_about_a_product_counts_and_a_damaged_one_is_passed_over(tmp_path, caplog):
    notes = Notes(str(tmp_path))
    assert notes.read() == []
    tell = notes.noting("utm/a.tif", "mark")
    tell(Sum(1, "a" * 64))
    tell(Sum(2, "b" * 64))
    last = Note("utm/a.tif", "mark", 2, "b" * 64)
    assert notes.read() == [last]
    storage.write_whole(storage.join(str(tmp_path), "products", "0" * 32 + ".json"), b"[1]")
    assert notes.read() == [last]
    assert "damaged and is not used" in caplog.text
