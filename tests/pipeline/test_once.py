"""Every source pixel is decoded once, and predicted once."""

import numpy as np

from tests.support.archive import Product, write_product
from tests.support.jobs import lonlat_box, make, write_job
from tests.support.scenes import town
from transforms.assembly import reading
from transforms.inference import handler

ROWS, COLS, BLOCK = 300, 420, 128
ULX, ULY = 330000, 5820000


def test_every_pixel_once(tmp_path, monkeypatch):
    write_product(tmp_path / "archive", Product("33UUU", 32633, ULX, ULY, town(ROWS, COLS)))
    decoded, predicted = {}, np.zeros((ROWS, COLS), int)
    opened, predict = reading.open_raster, handler.ModelBank.predict

    class Counted:
        def __init__(self, path, driver, overview=None):
            self._source = opened(path, driver, overview)
            self._times = decoded.setdefault(path, np.zeros(self._source.shape, int))

        def __enter__(self):
            self._source.__enter__()
            return self

        def __exit__(self, *error):
            self._source.__exit__(*error)

        def __getattr__(self, name):
            return getattr(self._source, name)

        def read(self, bands, window):
            rows, cols = window.toslices()
            self._times[rows, cols] += 1
            return self._source.read(bands, window=window)

    def counted_predict(bank, example):
        window = example.window
        predicted[window.row : window.bottom, window.col : window.right] += 1
        return predict(bank, example)

    monkeypatch.setattr(reading, "open_raster", Counted)
    monkeypatch.setattr(handler.ModelBank, "predict", counted_predict)
    area = lonlat_box(32633, ULX - 500, ULY - 10 * ROWS - 500, ULX + 10 * COLS + 500, ULY + 500)
    _, record = make(write_job(tmp_path, area, tmp_path / "archive", block_size=BLOCK))
    assert record["exit_code"] == 0
    bands = {path[-7:-4]: times for path, times in decoded.items() if "IMG_DATA" in path}
    assert set(bands) == {"B02", "B03", "B04", "B08"}
    for band, times in bands.items():
        assert times.shape == (ROWS, COLS)
        assert (times == 1).all(), band
    assert (predicted == 1).all()
