"""Model files that are none: refused before anything starts."""

import hashlib
import pickle

import h5py
import numpy as np
import pytest
import sklearn

from ghsl_beam.jobfile.configuration import load_job
from ghsl_beam.models.chosen import (
    chosen_classifier,
    chosen_models,
    classifier_warnings,
    model_warnings,
)
from ghsl_beam.models.credits import JRC, SENTINEL, credit_line, credits_of
from ghsl_beam.models.manifest import PublishedModel, published_manifest
from tests.pipeline.faults.table import fault
from tests.support.hostile_models import (
    CLASSIFIERS,
    LABELS,
    NETWORKS,
    TABLE,
    TREE,
    members_of,
    written,
)
from tests.support.jobs import NETWORK, models_folder, write_job
from transforms.classification import FEATURE_SETS, train
from transforms.elements import RequestError
from transforms.inference.weights import TRAINED, load_weights, save_weights

NAME = "MODEL_CNN_33U.h5"
REFUSED = "one line with the file, what was found and expected; nothing written; 2"


def truncated(path):
    path.write_bytes(path.read_bytes()[:100_000])


def with_nan(path):
    with h5py.File(path, "r+") as stored:
        kernel = next(
            stored["model_weights"][group][name]
            for group in ("dense_2",)
            for name in stored["model_weights"][group].attrs["weight_names"]
        )
        values = kernel[()]
        values.flat[0] = np.nan
        kernel[...] = values


def other_shape(path):
    with h5py.File(path, "r+") as stored:
        group = stored["model_weights"]["dense_2"]
        name = group.attrs["weight_names"][0]
        del group[name]
        group[name] = np.zeros((128, 3), np.float32)


def pickled(path):
    path.write_bytes(pickle.dumps({"weights": [1, 2, 3]}))


SPOILED = {
    "truncated": (truncated, "truncated"),
    "NaN": (with_nan, "not finite"),
    "another shape": (other_shape, "(128, 3)"),
    "pickle": (pickled, "pickle"),
}
for name in SPOILED:
    fault("models", name, REFUSED)


@pytest.mark.parametrize("name", SPOILED)
def test_a_spoiled_model_is_refused(job, tmp_path, name):
    spoil, said = SPOILED[name]
    models_folder(tmp_path / "models")
    spoil(tmp_path / "models" / NAME)
    with pytest.raises(RequestError) as refused:
        job.run(f"models={{folder: {tmp_path / 'models'}}}")
    line = str(refused.value)
    assert NAME in line
    assert said in line
    assert "\n" not in line
    assert not (tmp_path / "output").exists()


fault(
    "models",
    "damaged after the plan",
    "the blocks it should predict are losses, the rest is made, a rerun makes the others; 3",
)


def test_a_model_that_is_damaged_on_the_way(job, tmp_path, monkeypatch):
    models_folder(tmp_path / "models")
    model = tmp_path / "models" / NAME
    good = model.read_bytes()
    import ghsl_beam.running.launch

    real = ghsl_beam.running.launch.make_plan

    def plan_and_spoil(settings, *, verify):
        plan = real(settings, verify=verify)
        truncated(model)
        return plan

    monkeypatch.setattr(ghsl_beam.running.launch, "make_plan", plan_and_spoil)
    output, record = job.run(f"models={{folder: {tmp_path / 'models'}}}")
    assert record["exit_code"] == 3
    assert {loss["stage"] for loss in record["losses"]} == {"inference"}
    assert all(loss["file"].endswith(NAME) for loss in record["losses"])
    assert (job.s2(output) > 0).any()
    monkeypatch.undo()
    model.write_bytes(good)
    _, record = job.run(f"models={{folder: {tmp_path / 'models'}}}")
    assert record["exit_code"] == 0
    assert "assembly" not in record["stages"]


for name in CLASSIFIERS:
    fault("models", f"classifier: {name}", REFUSED)
for name in NETWORKS:
    fault("models", f"network: {name}", REFUSED)


def refusal_of(look, job):
    """The one line that ends a launch with 2."""
    with pytest.raises(RequestError) as refused:
        look(job)
    assert "\n" not in str(refused.value)
    return str(refused.value)


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_a_hostile_classifier_is_refused(job_of, tmp_path, name):
    make, said = CLASSIFIERS[name]
    path = tmp_path / "hostile.skops"
    make(path)
    line = refusal_of(chosen_classifier, job_of(residential={"model": str(path)}))
    assert "hostile.skops" in line
    assert said in line
    assert len(line) < 1000


@pytest.mark.parametrize("name", NETWORKS)
def test_a_hostile_network_is_refused(job_of, tmp_path, name):
    harm, said = NETWORKS[name]
    path = models_folder(tmp_path / "models") / NAME
    harm(path)
    job = job_of(models={"folder": str(path.parent)})
    line = refusal_of(lambda job: chosen_models(job, ["33U"]), job)
    assert NAME in line
    assert said in line
    assert len(line) < 1000


@pytest.fixture
def job_of(tmp_path):
    """job_of(key=value): a job that is only looked at."""

    def load(**over):
        return load_job(
            write_job(tmp_path / "job", "POLYGON ((0 0, 1 0, 1 1, 0 0))", tmp_path, **over),
            (),
            None,
            None,
        )

    return load


fault(
    "models",
    "own network under a name like the JRC's",
    "a warning, in run.json too; the JRC is not credited; 0",
)
fault(
    "models",
    "network whose maker is not proven",
    "a warning, in run.json too; the JRC is not credited; 0",
)


def test_who_made_a_network(job_of, tmp_path, monkeypatch):
    """The JRC's by its checksum alone, whatever the name; an own one by its own word."""
    folder = tmp_path / "models"
    folder.mkdir()
    weights = load_weights(NETWORK)
    own, other, theirs = (folder / f"MODEL_CNN_{zone}.h5" for zone in ("31U", "32U", "33U"))
    save_weights(own, weights, {TRAINED: "by ghsl-beam 1.0 on houses.gpkg"})
    for path in (other, theirs):
        save_weights(path, weights)
        with h5py.File(path, "r+") as stored:
            del stored["ghsl_beam"]
            stored.attrs["about"] = path.name
    content = theirs.read_bytes()
    blob = hashlib.sha1(  # noqa: S324 - as Git names it
        b"blob %d\0" % len(content) + content
    ).hexdigest()
    known = PublishedModel(zone="30U", file="MODEL_CNN_30U.h5", git_blob=blob)
    listed = published_manifest().model_copy(update={"models": (known,)})
    monkeypatch.setattr("ghsl_beam.models.chosen.published_manifest", lambda: listed)
    job = job_of(models={"folder": str(folder)})
    models = chosen_models(job, ["31U", "32U", "33U"])
    assert [model.origin for model in models] == ["own", "unproven", "published"]
    said = model_warnings(models)
    assert said[0] == (
        "model MODEL_CNN_31U.h5 is your own, not a model of the JRC, though its name is like theirs"
    )
    assert "not proven to be of the JRC, so the JRC is not credited: MODEL_CNN_32U.h5" in said[1]
    assert len(said) == 2
    credits = credits_of(models)
    assert credits[:2] == (SENTINEL, JRC)
    assert "MODEL_CNN_31U.h5: trained with ghsl-beam, no model of the JRC" in credits[2]
    assert "by ghsl-beam 1.0 on houses.gpkg" in credits[2]
    assert "MODEL_CNN_32U.h5" in credits[3]
    for others in (models[:1], models[1:2]):
        assert "Joint Research Centre" not in credit_line(others)


fault(
    "models",
    "classifier trained behind another network",
    "a warning with both checksums, in run.json too; 0",
)
fault(
    "models",
    "classifier made by another scikit-learn",
    "a warning with both versions, in run.json too; 0",
)


def test_a_classifier_that_does_not_belong(job_of, tmp_path):
    path = tmp_path / "own.skops"
    job = job_of(residential={"model": str(path)}, models={"starter": True})
    models = chosen_models(job, ["33U"])

    def said(**about):
        train(TABLE, LABELS, "spectral", "noise", estimator=TREE, **about).save(path)
        return classifier_warnings(chosen_classifier(job), models)

    assert said(networks=(models[0].sha256,)) == []
    (warning,) = said(networks=("ab" * 32,))
    assert "abababababab" in warning
    assert models[0].sha256[:12] in warning
    (warning,) = said()
    assert "does not say which network made the built-up" in warning
    members = members_of(path)
    now = sklearn.__version__
    schema = (
        members["schema.json"]
        .decode()
        .replace(f'"{now}', '"1.2.2')
        .replace(f'\\"{now}\\"', '\\"1.2.2\\"')
    )
    written(path, members | {"schema.json": schema.encode()})
    warning, _ = classifier_warnings(chosen_classifier(job), models)
    assert f"was made by scikit-learn 1.2.2, but {now} is installed" in warning


fault(
    "models",
    "classifier of ten bands, composite of four",
    "one line says which key to change; 2",
)


def test_a_classifier_of_ten_bands_needs_them(job_of, tmp_path):
    path = tmp_path / "ten.skops"
    names = FEATURE_SETS["multiscale_bands_ten"]
    table = np.random.default_rng(0).random((40, len(names))).astype("float32")
    labels = np.tile([1, 2], 20).astype("uint8")
    train(table, labels, "multiscale_bands_ten", "noise", estimator=TREE).save(path)
    line = refusal_of(chosen_classifier, job_of(residential={"model": str(path)}))
    assert "ten.skops needs the bands at 20 m (features multiscale_bands_ten)" in line
    assert "set composite.bands: ten" in line
    job = job_of(residential={"model": str(path)}, composite={"bands": "ten"})
    assert chosen_classifier(job).bands == 10
