"""Credits, and the licence that follows from them."""

from dataclasses import dataclass

import pytest

from ghsl_beam.models.chosen import ChosenClassifier
from ghsl_beam.models.credits import (
    JRC,
    SENTINEL,
    Origin,
    credit_line,
    credits_of,
    licence_of,
    licence_text,
    lines_of,
)


@dataclass(frozen=True)
class Network:
    file: str
    sha256: str
    origin: Origin
    trained: str = ""


THEIRS = Network("MODEL_CNN_33U.h5", "a" * 64, Origin.PUBLISHED)
ALSO_THEIRS = Network("MODEL_CNN_32U.h5", "b" * 64, Origin.PUBLISHED)
OWN = Network("own.h5", "c" * 64, Origin.OWN, "on houses.gpkg")
UNPROVEN = Network("MODEL_CNN_31U.h5", "d" * 64, Origin.UNPROVEN)


def test_the_jrc_is_named_once_and_for_its_own_networks_alone():
    assert credits_of([THEIRS, ALSO_THEIRS]) == (SENTINEL, JRC)
    assert JRC not in credit_line([OWN, UNPROVEN])


def test_a_classifier_is_named_last():
    assert credits_of([THEIRS], "classifier c") == (SENTINEL, JRC, "classifier c")
    assert licence_of(credit_line([THEIRS], "classifier c")) == "other"


@pytest.mark.parametrize(
    ("networks", "licence"),
    [
        ([THEIRS], "CC-BY-4.0"),
        ([THEIRS, ALSO_THEIRS], "CC-BY-4.0"),
        ([THEIRS, OWN], "other"),
        ([UNPROVEN], "other"),
        ([], "other"),
    ],
)
def test_a_licence_is_that_of_the_networks(networks, licence):
    assert licence_of(credit_line(networks)) == licence


def test_what_a_user_trained_is_the_users():
    note = "three towns; by hand\nin QGIS"
    mine = ChosenClassifier("my;own.skops", "e" * 64, demonstration=False, halo=1, description=note)
    line = "classifier my,own.skops (SHA-256 eeeeeeeeeeee): its user's own, not of the JRC: "
    assert mine.credit == f"{line}three towns, by hand in QGIS"
    credits = credit_line([THEIRS], mine.credit)
    assert lines_of(credits) == [SENTINEL, JRC, mine.credit]
    assert licence_of(credits) == "other"
    demonstration = ChosenClassifier("d.skops", "f" * 64, demonstration=True, halo=1)
    assert demonstration.credit.endswith("a demonstration of ghsl-beam, not of the JRC")


@pytest.mark.parametrize(
    ("networks", "starts"),
    [
        ([], "Copernicus Sentinel data: https://"),
        ([THEIRS], "CC BY 4.0; Copernicus"),
        ([OWN], "set by the makers of the models that CREDITS names; Copernicus"),
        ([THEIRS, OWN], "CC BY 4.0 for GHS-S2Net models; set by the makers"),
    ],
)
def test_a_licence_in_words(networks, starts):
    assert licence_text(credit_line(networks)).startswith(starts)
