"""Models at a URL through the whole job, and what the products say of them."""

import hashlib
import json
import re

import numpy as np
import rasterio

from tests.support.archive import Product, write_product
from tests.support.file_server import FileServer
from tests.support.jobs import NETWORK, layers, lonlat_box, make, write_job
from tests.support.scenes import town

ULX, ULY = 330000, 5820000
GOOD = NETWORK.read_bytes()
DIGEST = hashlib.sha256(GOOD).hexdigest()


def test_a_fallback_at_a_url_is_named_wherever_it_was_used(tmp_path):
    write_product(tmp_path / "archive", Product("33UUU", 32633, ULX, ULY, town(150, 140)))
    area = lonlat_box(32633, ULX, ULY - 1500, ULX + 1400, ULY)
    with FileServer().running() as server:
        server.files["/m/MODEL_CNN_32T.h5"] = GOOD
        models = {"folder": f"{server.url}/m", "fallback": "32T"}
        file = write_job(tmp_path / "job", area, tmp_path / "archive", models=models)
        output, record = make(file)
        assert record["exit_code"] == 0, record["losses"]
        served = [r for r in server.seen("/m/MODEL_CNN_32T.h5") if r.sent == len(GOOD)]
        assert len(served) <= 3  # whether it is there, the plan, the worker

        expected = {
            "file": "MODEL_CNN_32T.h5",
            "sha256": DIGEST,
            "origin": "starter",  # its file says so, whatever its name
            "demonstration": False,
            "fallback": True,
        }
        (tile,) = record["tiles"]
        assert (tile["zone"], tile["model"]) == ("33U", expected)
        assert "zone 33U: uses model MODEL_CNN_32T.h5 of another zone" in record["warnings"]
        said = "model MODEL_CNN_32T.h5 is the starter network of ghsl-beam"
        assert any(warning.startswith(said) for warning in record["warnings"])
        made = layers(output)
        for path in made:
            with rasterio.open(output / path) as source:
                tags = source.tags()
            found = {key: value for key, value in tags.items() if key.startswith("MODEL")}
            if path.startswith("grid/"):
                assert found == {"MODELS": f"33U: MODEL_CNN_32T.h5 (fallback) {DIGEST}"}
            elif re.match(r"S2(_COUNT)?_", path.rpartition("/")[2]):
                assert found == {}
            else:
                assert found == {
                    "MODEL": "MODEL_CNN_32T.h5",
                    "MODEL_SHA256": DIGEST,
                    "MODEL_ORIGIN": "starter",
                    "MODEL_GRID_ZONE": "33U",
                    "MODEL_FALLBACK": "yes",
                }
        items = [
            json.loads(path.read_text())
            for path in sorted(output.glob("stac/*/*.json"))
            if path.name != "collection.json"
        ]
        assert items
        for item in items:
            assert item["properties"]["ghsl:fallback"]
            assert item["properties"]["ghsl:models"] == [{"zone": "33U", **expected}]

    here, record = make(
        file,
        settings=(
            f"output={tmp_path / 'here'}",
            "models={starter: true}",
        ),
    )
    (tile,) = record["tiles"]
    assert tile["model"]["file"] == "STARTER_MODEL_CNN.h5"
    assert not tile["model"]["fallback"]
    other = layers(here)
    assert made.keys() == other.keys()
    assert all(np.array_equal(made[path], other[path]) for path in made)
