"""Job files: a job, or one line that can be printed."""

import json

from ghsl_beam.jobfile.configuration import Job, load_job
from tests.fuzz import mutators
from transforms.elements import RequestError

SOUND = """# a job with all that can be said
name: town-{period}
epoch: 2020
area: {bbox: [12.5, 52.4, 12.7, 52.5]}
period: {start: 2020-05-01, end: 2020-08-31}
input: {archive: scenes, level: L1C, max_cloud_cover: 80}
composite: {percentile: 30}
models: {folder: cnn_models, fallback: nearest, precision: exact}
cleaning:
  minimum: 0.1
  ndvi_above: 0.3
  ndwi_above: null
  roads: roads.gpkg
  minimum_area_m2: 400
residential:
  model: classifier.skops
greenness: {radius_m: 300}
grids:
- {crs: "ESRI:54009", resolutions: [10, 100, 1000]}
- {crs: "EPSG:4326", resolutions: [3, 30]}
output: out/{period}
block_size: 1024
strict: false
"""


def prepare(folder):
    (folder / "job.yaml").write_text(SOUND)
    load_job(folder / "job.yaml")
    return None


def case(state, dice, folder, tell):
    file, data, told = folder / "job.yaml", SOUND.encode(), []
    for _ in range(dice.choice((1, 1, 2, 4))):
        mutation = mutators.text(data, dice) if data else mutators.splice(data, dice)
        data = mutation.data
        told.append(mutation.what)
    tell("; ".join(told))
    file.write_bytes(data)
    try:
        job = load_job(file)
    except RequestError as error:
        if not str(error).isprintable():
            raise AssertionError("control characters in the line") from error
        raise
    again = Job.model_validate(json.loads(job.model_dump_json()), context={"today": None})
    assert again == job, "what is taken is not taken again"
    return "taken"
