"""Synthetic pixels of a town, so that every layer has data."""

import numpy as np
from scipy.ndimage import gaussian_filter


def town(rows: int, cols: int, seed: int = 7) -> np.ndarray:
    """(4, rows, cols) uint16, R G B NIR: fields, a lake, houses and halls, a strip of nodata."""
    random = np.random.default_rng(seed)

    def field(sigma, low, high):
        values = gaussian_filter(random.standard_normal((rows, cols)), sigma)
        values = (values - values.min()) / np.ptp(values)
        return low + values * (high - low)

    blue, green = field(25, 900, 1300), field(20, 800, 1300)
    red, nir = field(15, 500, 1200), field(12, 1400, 3600)
    for _ in range(rows * cols // 900):
        row, col = random.integers(0, rows), random.integers(0, cols)
        height, width = random.integers(1, 7, 2)
        part = np.s_[row : row + height, col : col + width]
        light = random.uniform(0.9, 2.2)
        for band, value in ((blue, 1500), (green, 1500), (red, 1600), (nir, 1800)):
            band[part] = value * light
    lake = field(30, 0, 1) > 0.8
    for band, value in ((blue, 900), (green, 700), (red, 450), (nir, 250)):
        band[lake] = value
    dn = np.stack([red, green, blue, nir]) + random.normal(0, 25, (4, rows, cols))
    dn = np.clip(dn, 1, 20000).astype("uint16")
    dn[:, :, 11:14] = 0
    return dn
