from datetime import date

import pytest

from transforms.assembly import Candidate, LeftOut, Wanted
from transforms.assembly.catalogues.worth_reading import worth_reading
from transforms.elements import Level, Loss, SceneError

WANTED = Wanted(frozenset(["33UUU"]), date(2020, 6, 1), date(2020, 6, 30), Level.L1C, 60)


def candidate(stamp="20200615T102101", baseline="0209", satellite="S2A", made="T120000", **told):
    name = f"{satellite}_MSIL1C_{stamp}_N{baseline}_R065_T33UUU_{stamp[:8]}{made}"
    return Candidate(f"s3://eodata/{name}.SAFE", name=name, **told)


def test_what_is_too_cloudy_is_not_read():
    clear, cloudy, unknown = (
        candidate(cloud_cover=59),
        candidate("20200617T102101", cloud_cover=61),
        candidate("20200619T102101"),
    )
    read, (left,) = worth_reading([clear, cloudy, unknown], WANTED)
    assert read == [clear, unknown]
    assert left == LeftOut(
        cloudy.name, "33UUU", left.sensing, 61, "cloud cover 61 %, at most 60 %", cloudy.location
    )


def test_a_rounded_cloud_cover_decides_nothing():
    close = candidate(cloud_cover=60.4)
    assert worth_reading([close], WANTED) == ([close], [])


def test_a_clearer_processing_of_the_same_pass_is_read_beside_the_cloudy_one():
    """The cloudy one is newer: read, it replaces the clearer one, which is outdated."""
    old, new = candidate(cloud_cover=10), candidate("20200615T102105", "0500", cloud_cover=99)
    assert worth_reading([old, new], WANTED)[0] == [old, new]


@pytest.mark.parametrize(
    "name",
    ["S2A_OPER_PRD_MSIL1C_PDMC_20200616T134321_R065_V20200615T102101_20200615T102101", "unknown"],
)
def test_a_cloudy_processing_is_read_beside_a_product_that_may_be_of_its_pass(name):
    """The old name does not give the tile, so only the metadata says which of them counts."""
    old, other = Candidate(f"/x/{name}.SAFE", name=name), candidate("20200617T102101")
    new, far = candidate(baseline="0500", cloud_cover=99), candidate("20200619T102101")
    assert worth_reading([old, new, other, far], WANTED) == ([old, new, other, far], [])


def test_other_satellites_and_tiles_are_other_passes():
    near = candidate(cloud_cover=10)
    other = candidate("20200615T102105", satellite="S2B", cloud_cover=99)
    assert worth_reading([near, other], WANTED)[0] == [near]


def test_what_is_not_online_is_lost_unless_another_processing_is():
    lost = candidate("20200617T102101", online=False)
    old = candidate(online=False, datastrip="S2A_OPER_MSI_L1C_DS_X_S20200615T102101_N02.09")
    new = candidate(
        "20200615T102105",
        "0500",
        datastrip="S2A_OPER_MSI_L1C_DS_Y_S20200615T102102_N05.00",
    )
    read, unread = worth_reading([lost, old, new], WANTED)
    assert read == [new]
    losses = [one for one in unread if isinstance(one, Loss)]
    (left,) = (one for one in unread if isinstance(one, LeftOut))
    assert [(loss.tile, loss.scene, loss.file) for loss in losses] == [
        ("33UUU", lost.name, lost.location)
    ]
    assert "not online: order it" in losses[0].reason
    assert (left.name, left.reason) == (old.name, "not online; another processing of it is online")


def test_a_product_named_as_online_and_as_not_online_is_online():
    online, offline = candidate(), candidate(online=False)
    assert worth_reading([online, offline], WANTED) == ([online], [])
    assert worth_reading([offline, online], WANTED) == ([online], [])


def test_another_datastrip_of_the_pass_does_not_stand_for_it():
    one = candidate(online=False, datastrip="S2A_OPER_MSI_L1C_DS_X_S20200615T102101_N05.00")
    two = candidate("20200615T102121", datastrip="S2A_OPER_MSI_L1C_DS_X_S20200615T102130_N05.00")
    read, (loss,) = worth_reading([one, two], WANTED)
    assert read == [two]
    assert isinstance(loss, Loss)


def test_what_is_too_cloudy_and_not_online_is_no_loss():
    """To order it would change nothing, and a strict job would never begin."""
    strip = "S2A_OPER_MSI_L1C_DS_X_S20200615T1021{}_N05.00"
    one = candidate(online=False, cloud_cover=99, datastrip=strip.format("01"))
    two = candidate("20200615T102121", cloud_cover=10, datastrip=strip.format("30"))
    read, (left,) = worth_reading([one, two], WANTED)
    assert read == [two]
    assert isinstance(left, LeftOut)
    assert left.reason == "cloud cover 99 %, at most 60 %"


@pytest.mark.parametrize(("made", "kind"), [("T110000", Loss), ("T130000", LeftOut)])
def test_an_older_processing_that_is_too_cloudy_does_not_stand_for_it(made, kind):
    """It is left out for its clouds, so the pass would be missing without a word."""
    wants = candidate(online=False, cloud_cover=10)
    other = candidate(made=made, cloud_cover=99)
    read, (unread,) = worth_reading([wants, other], WANTED)
    assert read == [other]
    assert isinstance(unread, kind)


@pytest.mark.parametrize("of", ["33UVU", "T33UUU_20210615T120000"])
def test_what_was_not_asked_for_is_dropped(of):
    name = candidate().name
    other = name.replace("T33UUU", "T33UVU") if of == "33UVU" else name.replace("2020", "2021")
    assert worth_reading([Candidate(f"/x/{other}.SAFE", name=other)], WANTED) == ([], [])


def test_names_that_tell_nothing_and_errors_pass_in_order():
    answers = [Candidate("/x/b"), SceneError("/x/a", "not readable"), candidate()]
    assert worth_reading([*answers, answers[0]], WANTED) == (answers, [])
