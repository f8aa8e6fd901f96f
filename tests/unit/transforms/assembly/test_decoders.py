"""Which driver of GDAL decodes JPEG 2000."""

import logging

import numpy as np
import pytest
from rasterio.errors import RasterioIOError

from transforms.assembly import decoders
from transforms.assembly.decoders import OPENJPEG, Decoder, driver_for


@pytest.fixture(autouse=True)
def _fresh():
    decoders._fastest.cache_clear()
    yield
    decoders._fastest.cache_clear()


@pytest.fixture
def with_drivers(monkeypatch):
    """Pretends that GDAL has more drivers; `broken` ones change a pixel, `absent` ones fail."""
    real = decoders._decoded

    def install(*names, broken=(), absent=()):
        def decoded(data, driver, window):
            if driver in absent:
                raise RasterioIOError("no such driver")
            values = real(data, OPENJPEG, window)
            return values + (np.indices(values.shape).sum(axis=0) == 7) * (driver in broken)

        monkeypatch.setattr(decoders, "available", lambda: frozenset({OPENJPEG, *names}))
        monkeypatch.setattr(decoders, "_decoded", decoded)

    return install


def test_openjpeg_is_always_there():
    assert OPENJPEG in decoders.available()
    assert decoders._gives_the_same_pixels(OPENJPEG)
    assert driver_for(Decoder.OPENJPEG) == OPENJPEG


def test_the_fastest_that_gives_the_same_pixels(with_drivers, caplog):
    with_drivers("JP2Grok", "JP2KAK")
    assert driver_for(Decoder.FASTEST) == "JP2KAK"
    assert driver_for(Decoder.OPENJPEG) == OPENJPEG
    decoders._fastest.cache_clear()
    with_drivers("JP2Grok", "JP2KAK", broken=("JP2KAK",))
    with caplog.at_level(logging.WARNING):
        assert driver_for(Decoder.FASTEST) == "JP2Grok"
    assert "JP2KAK decodes other pixels than OpenJPEG" in caplog.text


def test_without_a_usable_one_openjpeg_decodes(with_drivers):
    with_drivers()
    assert driver_for(Decoder.FASTEST) == OPENJPEG
    decoders._fastest.cache_clear()
    with_drivers("JP2Grok", absent=("JP2Grok",))
    assert driver_for(Decoder.FASTEST) == OPENJPEG
