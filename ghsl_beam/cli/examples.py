"""The examples in the help of the commands; a test reads each of them as the shell would."""

from __future__ import annotations

JOB, OUTPUT = "examples/havelland.yaml", "output/havelland"

EXAMPLES: dict[str, tuple[str, ...]] = {
    "init": (
        "ghsl-beam init berlin.yaml --aoi 13.0,52.3,13.8,52.7 --catalogue copernicus",
        "ghsl-beam init town.yaml --aoi town.gpkg --catalogue archive --archive /data/s2",
        "ghsl-beam init tile.yaml --aoi 33UUU --catalogue google --period 2024-06-01/2024-08-31",
    ),
    "doctor": ("ghsl-beam doctor", f"ghsl-beam doctor {JOB}"),
    "completion": (
        "ghsl-beam completion bash",
        'eval "$(ghsl-beam completion zsh)"',
        "ghsl-beam completion fish",
    ),
    "scenes": (f"ghsl-beam scenes {JOB}", f"ghsl-beam scenes {JOB} --format geojson"),
    "fetch": (f"ghsl-beam fetch {JOB} --connections 2",),
    "plan": (f"ghsl-beam plan {JOB}", f"ghsl-beam plan {JOB} --set period=2017 --json"),
    "run": (
        f"ghsl-beam run {JOB}",
        f"ghsl-beam run {JOB} --set residential.smoothing=none --output output/no-smoothing",
        f"ghsl-beam run {JOB} --direct_running_mode=multi_processing --direct_num_workers=2",
    ),
    "report": (f"ghsl-beam report {OUTPUT}",),
    "schema": ("ghsl-beam schema", "ghsl-beam schema --record"),
    "stats": (
        f"ghsl-beam stats {OUTPUT}",
        f"ghsl-beam stats {OUTPUT} --zones districts.gpkg --name name --to districts.csv",
    ),
    "validate": (f"ghsl-beam validate {OUTPUT} --reference footprints.gpkg --out scores",),
    "calibrate": (
        f"ghsl-beam calibrate {OUTPUT} --reference footprints.gpkg --out calibration.json",
    ),
    "roads": ("ghsl-beam roads brandenburg-latest.osm.pbf --out roads.gpkg",),
    "models list": (
        f"ghsl-beam models list {JOB}",
        "ghsl-beam models list --aoi 13.0,52.3,13.8,52.7",
    ),
    "models fetch": (f"ghsl-beam models fetch {JOB}", "ghsl-beam models fetch --zone 33U"),
    "models verify": ("ghsl-beam models verify --folder cnn_models",),
    "models refresh": ("ghsl-beam models refresh",),
    "train network": (
        f"ghsl-beam train network {OUTPUT} --polygons built_up.gpkg --model OWN_MODEL_CNN_33U.h5",
    ),
    "train residential": (
        f"ghsl-beam train residential {OUTPUT} --labels labels.gpkg --model own.skops",
    ),
}
"""By command, lines that a person can type."""


def examples(command: str) -> str:
    """The examples of a command, for the end of its help; a blank line between two lines."""
    return "\n\n".join(["Examples:", *EXAMPLES[command]])
