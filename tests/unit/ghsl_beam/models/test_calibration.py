"""A calibration file may come from anybody; a job uses it only for the networks that it knows."""

import json
from dataclasses import replace

import pytest

from ghsl_beam.models.calibration import (
    MAX_BYTES,
    calibration_warnings,
    chosen_calibration,
    parse,
)
from tests.support.plans import MODEL, job_in
from transforms.cleaning import Curve
from transforms.elements import RequestError

SHA256 = MODEL.sha256


GOOD = {
    "models": {
        SHA256: {
            "made_by": "x",
            "reference": "r",
            "unit": "u",
            "product": "p",
            "cleaning": {},
            "file": "m.h5",
            "form": "logistic",
            "why": "few",
            "pixels": 1,
            "omitted_percent": 0.0,
            "omitted": "included",
            "knots": [[0, 0, 0], [10000, 10000, 0]],
            "held_out": {
                "block_m": 250.0,
                "blocks": 5,
                "bias_percent": 0.1,
                "bias_percent_lowest": -1.0,
                "bias_percent_highest": 1.0,
                "bias_percent_kept": 0.1,
                "mae": 0.1,
                "rmse": 0.2,
                "predicted": 1.0,
                "reference": 1.0,
                "reference_kept": 1.0,
            },
            "parts": [],
        }
    },
}


def changed(path, value):
    made = json.loads(json.dumps(GOOD))
    inner = made
    *keys, last = path
    for key in keys:
        inner = inner[key]
    inner[last] = value
    return json.dumps(made)


def test_a_file_survives_writing_and_reading():
    made = parse(json.dumps(GOOD).encode(), "c.json")
    assert parse(made.model_dump_json().encode(), "c.json") == made


CURVE = ("models", SHA256)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{",
        "[" * 100_000,
        '{"models": ' * 100_000,
        "\x00",
        "null",
        changed(("format",), "other"),
        changed(("version",), 2),
        changed(("models",), {}),
        changed(("models",), {"short": GOOD["models"][SHA256]}),
        changed((*CURVE, "reference"), "two\nlines"),
        changed((*CURVE, "reference"), "x" * 501),
        changed((*CURVE, "knots"), [[0, 0, 0], [10000, 20000, 0]]),
        changed((*CURVE, "knots"), [[0, 9, 0], [10000, 8, 0]]),
        changed((*CURVE, "knots"), [[0, 0, 0], [10000, 8.5, 0]]),
        changed((*CURVE, "knots"), [[0, 0, 0], [10000, True, 0]]),
        changed((*CURVE, "knots"), [[0, 0, 0], [10000, "8", 0]]),
        changed((*CURVE, "knots"), [[0, 0, 0], [10000, 1e400, 0]]),
        changed((*CURVE, "knots"), [[0, 0, 0], [10**30, 8, 0]]),
        changed((*CURVE, "knots"), [[n, 0, 0] for n in range(10_002)]),
        changed((*CURVE, "pixels"), float("nan")),
        changed((*CURVE, "omitted_percent"), 1e300),
        changed((*CURVE, "extra"), 1),
        changed(("two\nlines\x1b[31m",), 1),
    ],
)
def test_what_is_no_calibration_is_refused_in_one_line(text):
    with pytest.raises(RequestError, match=r"^c\.json: ") as error:
        parse(text.encode(), "c.json")
    assert str(error.value).isprintable()
    assert len(str(error.value)) < 500


@pytest.fixture
def job(tmp_path):
    (tmp_path / "c.json").write_text(json.dumps(GOOD))
    return job_in(tmp_path, **{"models.calibration": str(tmp_path / "c.json")})


def test_a_job_takes_the_curve_of_its_network(job, tmp_path):
    chosen = chosen_calibration(job, [MODEL])
    assert chosen.curves == {SHA256: Curve(((0, 0, 0), (10000, 10000, 0)))}
    assert chosen.tags == {"CALIBRATION": "c.json", "CALIBRATION_SHA256": chosen.sha256}
    assert chosen_calibration(job_in(tmp_path), [MODEL]) is None


def test_a_network_without_a_curve_is_refused_in_one_line(job):
    other = replace(MODEL, path="a/other.h5", sha256="f" * 64, zone="32T")
    with pytest.raises(RequestError) as error:
        chosen_calibration(job, [MODEL, other])
    assert str(error.value) == (
        "models.calibration: c.json has no curve for other.h5 (ffffffffffff) of zone 32T, only "
        "for m.h5 (000000000000); run ghsl-beam calibrate on an output that this network made, "
        "or leave the key out"
    )


def test_a_calibration_that_cannot_be_read_is_refused_in_one_line(job, tmp_path):
    (tmp_path / "c.json").write_bytes(b"GIF89a")
    with pytest.raises(RequestError, match=r"^models\.calibration: .*c\.json: is no calibration"):
        chosen_calibration(job, [MODEL])
    (tmp_path / "c.json").unlink()
    with pytest.raises(RequestError, match=r"^models\.calibration: .*c\.json: No such file"):
        chosen_calibration(job, [MODEL])
    (tmp_path / "c.json").write_bytes(b" " * (MAX_BYTES + 1))
    with pytest.raises(RequestError, match=r"^models\.calibration: .*c\.json"):
        chosen_calibration(job, [MODEL])


def test_another_cleaning_than_that_of_the_fit_is_a_warning(job, tmp_path):
    settings = {
        "minimum": 0.1,
        "ndvi_above": 0.6,
        "ndwi_above": 0.0,
        "minimum_area_m2": 400,
        "roads": False,
    }
    (tmp_path / "c.json").write_text(changed((*CURVE, "cleaning"), settings))
    assert calibration_warnings(chosen_calibration(job, [MODEL]), job) == []
    (tmp_path / "c.json").write_text(changed((*CURVE, "cleaning"), settings | {"minimum": 0.5}))
    (warning,) = calibration_warnings(chosen_calibration(job, [MODEL]), job)
    assert "cleaning.minimum is 0.1, fitted with 0.5" in warning
    assert calibration_warnings(None, job) == []
    many = {f"{number}" * 250: "x" * 500 for number in range(50)}
    (tmp_path / "c.json").write_text(changed((*CURVE, "cleaning"), many))
    (warning,) = calibration_warnings(chosen_calibration(job, [MODEL]), job)
    assert len(warning) < 1000


def test_entries_of_several_runs_keep_their_reference_and_cleaning(job, tmp_path):
    """What another network was fitted on says nothing about the networks of the job."""
    mine, other, far = (dict(GOOD["models"][SHA256]) for _ in range(3))
    other |= {"reference": "s", "cleaning": {"minimum": 0.5}}
    far |= {"reference": "t", "cleaning": {"minimum": 0.9}}
    models = {SHA256: mine, "f" * 64: other, "e" * 64: far}
    (tmp_path / "c.json").write_text(json.dumps({"models": models}))
    chosen = chosen_calibration(job, [MODEL, replace(MODEL, sha256="f" * 64)])
    assert "fitted by ghsl-beam on r, s" in chosen.credit
    assert [settings.get("minimum") for settings in chosen.cleanings] == [None, 0.5]
    assert chosen_calibration(job, [MODEL]).reference == "r"


def test_built_up_that_is_left_out_is_a_warning(job, tmp_path):
    (tmp_path / "c.json").write_text(changed((*CURVE, "omitted"), "left out"))
    assert not any("leaves out" in text for text in warnings_of(job)), "0 % is nothing"
    content = json.loads(changed((*CURVE, "omitted"), "left out"))
    content["models"][SHA256]["omitted_percent"] = 12.34
    (tmp_path / "c.json").write_text(json.dumps(content))
    assert any("removes, 12.3 % of its reference: BUILT_S" in text for text in warnings_of(job))


def warnings_of(job):
    return calibration_warnings(chosen_calibration(job, [MODEL]), job)


def test_the_content_of_the_file_decides_the_fingerprint(job, tmp_path):
    before = chosen_calibration(job, [MODEL]).sha256
    (tmp_path / "c.json").write_text(json.dumps(GOOD) + " ")
    assert chosen_calibration(job, [MODEL]).sha256 != before
