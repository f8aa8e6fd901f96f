"""The model store: which file for which grid zone."""

from pathlib import Path

import pytest

from transforms.elements import RequestError
from transforms.inference.models import (
    available,
    model_file,
    nearest,
    resolve,
    zone_centre,
    zone_distance,
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("MODEL_CNN_33U.h5", "MODEL_CNN_32T.h5", "MODEL_CNN_5Q.h5"):
        (tmp_path / name).touch()
    for name in ("DEMONSTRATION_MODEL_CNN_34U.h5", "MODEL_CNN_34U.h5.part", "MODEL_CNN_34I.h5"):
        (tmp_path / name).touch()
    return tmp_path


def test_names(folder: Path) -> None:
    assert model_file(folder, "33U") == folder / "MODEL_CNN_33U.h5"
    assert sorted(available(folder)) == ["32T", "33U", "5Q"]
    assert sorted(available(folder, prefix="DEMONSTRATION_")) == ["34U"]
    assert available(folder / "absent") == {}


def test_found(folder: Path) -> None:
    paths = resolve(["33U", "32T", "33U", "05Q"], folder)
    assert paths["33U"] == str(folder / "MODEL_CNN_33U.h5")
    assert paths["05Q"] == str(folder / "MODEL_CNN_5Q.h5")
    assert sorted(paths) == ["05Q", "32T", "33U"]


def test_all_missing_zones_are_named_with_the_remedy(folder: Path) -> None:
    with pytest.raises(RequestError, match=r"34U, 60C .*models\.fallback") as caught:
        resolve(["60C", "33U", "34U"], folder)
    assert "\n" not in str(caught.value)
    with pytest.raises(RequestError, match="the JRC publishes none for 60C"):
        resolve(["60C", "34U"], folder, manifest={"34U"})
    with pytest.raises(RequestError, match="none for the fallback 21M"):
        resolve(["34U"], folder, "21M")


def test_demonstration_only_when_asked_for(folder: Path) -> None:
    with pytest.raises(RequestError):
        resolve(["34U"], folder)
    paths = resolve(["34U"], folder, prefix="DEMONSTRATION_")
    assert paths == {"34U": str(folder / "DEMONSTRATION_MODEL_CNN_34U.h5")}
    assert "DEMONSTRATION" not in resolve(["34U"], folder, "nearest")["34U"]


def test_fallbacks(folder: Path, tmp_path: Path) -> None:
    assert resolve(["34U", "33U"], folder, "nearest")["34U"].endswith("_33U.h5")
    assert resolve(["31T"], folder, "nearest")["31T"].endswith("_32T.h5")
    assert resolve(["34U"], folder, "32T")["34U"].endswith("_32T.h5")
    with pytest.raises(RequestError, match="put the files there"):
        resolve(["34U"], tmp_path / "absent", "nearest")


def test_centres() -> None:
    assert zone_centre("33U") == (15.0, 52.0)
    assert zone_centre("01C") == zone_centre("1C") == (-177.0, -76.0)
    assert zone_centre("32V") == (7.5, 60.0)
    assert zone_centre("31V") == (1.5, 60.0)
    assert zone_centre("35X") == (27.0, 78.0)
    assert zone_centre("40X") == (57.0, 78.0)
    for wrong in ("32X", "61U", "0U", "33I", "33", "", "33UU"):
        with pytest.raises(RequestError, match="expected"):
            zone_centre(wrong)


def test_distance_goes_the_short_way_round() -> None:
    assert zone_distance("01N", "60N") == pytest.approx(6, abs=0.1)
    assert zone_distance("33U", "33T") == pytest.approx(8)
    assert nearest("60N", ["01N", "57N"]) == "01N"
    assert nearest("33U", ["34U", "32U"]) == "32U"
