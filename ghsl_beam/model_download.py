"""Getting model files from a base URL."""

from __future__ import annotations

from pathlib import Path

import fsspec
import stamina

from transforms.elements import ModelError, RequestError
from transforms.inference.models import model_file
from transforms.inference.weights import load_weights, sha256_of
from transforms.raster.files import published

_MAX_BYTES = 256 * 2**20
_PIECE = 1 << 20


def fetch_model(zone: str, base: str, folder: Path) -> tuple[Path, str]:
    """Fetch one zone's model, check it, and put it in the folder; a good one there stays.

    Args:
        zone: grid zone, `33U`.
        base: folder of the files, any fsspec URL.
        folder: where to put it.

    Returns:
        The file and its SHA-256.

    Raises:
        RequestError: the zone or the URL is none.
        ModelError: it cannot be had, or what came is no GHS-S2Net; nothing is kept.
    """
    target = Path(model_file(folder, zone))
    if target.is_file():
        load_weights(target)
        return target, sha256_of(target)
    url = f"{base.rstrip('/')}/{target.name}"
    with published(target) as partial:
        try:
            _copy(url, partial)
        except (OSError, TimeoutError) as error:
            raise ModelError(url, f"cannot be fetched: {error}") from error
        except (ValueError, ImportError) as error:
            raise RequestError(f"{base}: not a URL that can be read: {error}") from error
        load_weights(partial)
    return target, sha256_of(target)


@stamina.retry(on=(ConnectionError, TimeoutError), attempts=3, wait_initial=0.2)
def _copy(url: str, target: Path) -> None:
    with fsspec.open(url, "rb") as source, target.open("wb") as into:
        total = 0
        while piece := source.read(_PIECE):
            total += len(piece)
            if total > _MAX_BYTES:
                raise ModelError(url, f"more than {_MAX_BYTES} bytes, no model is that large")
            into.write(piece)
