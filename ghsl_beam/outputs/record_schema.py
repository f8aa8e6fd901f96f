"""The structure of run.json, and its JSON schema."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import ConfigDict, Field, TypeAdapter, with_config
from typing_extensions import TypedDict

from ghsl_beam.outputs.cover_record import CoverRecord

_closed = with_config(ConfigDict(extra="forbid"))


@_closed
class MachineRecord(TypedDict):
    """The machine of the launcher."""

    system: Annotated[str, Field(description="operating system")]
    architecture: Annotated[str, Field(description="kind of processor")]
    cores: Annotated[
        int | None,
        Field(description="cores that the launcher may use; null if the system does not say"),
    ]


@_closed
class ModelRecord(TypedDict):
    """The network of a tile."""

    file: Annotated[str, Field(description="name of the file")]
    sha256: Annotated[str, Field(description="checksum of the file")]
    origin: Annotated[
        str, Field(description="who made it: published, own, starter, demonstration or unproven")
    ]
    demonstration: Annotated[
        bool, Field(description="whether it is the network of a demonstration")
    ]
    fallback: Annotated[bool, Field(description="another grid zone's model")]


@_closed
class SceneRecord(TypedDict):
    """A scene for the composite."""

    id: Annotated[str, Field(description="name of the product")]
    sensing: Annotated[str, Field(description="start of the datatake, UTC")]
    cloud_cover: Annotated[float, Field(description="percent")]
    baseline: Annotated[str, Field(description="processing baseline, such as 05.10")]
    level: Annotated[str, Field(description="L1C or L2A")]
    clear: Annotated[
        float | None,
        Field(
            description="share of the tile's area that its mask calls clear, 0 to 1; null if "
            "no mask is made"
        ),
    ]
    seen: Annotated[float | None, Field(description="share of the tile's area with data, 0 to 1")]
    used: Annotated[
        float | None,
        Field(description="share of the tile's area to which it gives a clear observation, 0 to 1"),
    ]
    reason: Annotated[str, Field(description="why it is not used; empty if it is used")]


@_closed
class TileRecord(TypedDict):
    """An MGRS tile, its model and its scenes."""

    tile: Annotated[str, Field(description="name of the MGRS tile")]
    zone: Annotated[str, Field(description="grid zone")]
    owned_percent: Annotated[
        float,
        Field(description="percent of its part of the area that it owns; 100 if tiles: whole"),
    ]
    model: Annotated[ModelRecord, Field(description="the network of its grid zone")]
    scenes: Annotated[list[SceneRecord], Field(description="its scenes, in the order of their use")]


@_closed
class ClassifierRecord(TypedDict):
    """The residential classifier."""

    file: Annotated[str, Field(description="name of the file")]
    sha256: Annotated[str, Field(description="checksum of the file")]
    origin: Annotated[str, Field(description="who made it: own, starter or demonstration")]
    demonstration: Annotated[
        bool, Field(description="whether it is the classifier of a demonstration")
    ]


@_closed
class CalibrationRecord(TypedDict):
    """The calibration that was applied: BUFRAC is a fraction, and BUILT_S is in m²."""

    file: Annotated[str, Field(description="name of the file")]
    sha256: Annotated[str, Field(description="checksum of the file")]
    reference: Annotated[str, Field(description="what it was fitted on")]


@_closed
class PredictionRecord(TypedDict):
    """How the networks were computed."""

    asked: Annotated[str, Field(description="precision of the job file")]
    precision: Annotated[str, Field(description="precision that the engine reaches")]
    engine: Annotated[str, Field(description="the code that computed the network")]


@_closed
class WindowRecord(TypedDict):
    """A block: rows and columns of the tile's 10 m grid."""

    row: Annotated[int, Field(description="first row")]
    col: Annotated[int, Field(description="first column")]
    height: Annotated[int, Field(description="number of rows")]
    width: Annotated[int, Field(description="number of columns")]


@_closed
class LossRecord(TypedDict):
    """Something that could not be made."""

    stage: Annotated[str, Field(description="stage that found the loss")]
    tile: Annotated[
        str, Field(description="MGRS tile or output cell; empty before either is known")
    ]
    scene: Annotated[str, Field(description="name of the scene; empty if it is not one scene's")]
    file: Annotated[
        str, Field(description="file that could not be read or written; empty if it is none")
    ]
    reason: Annotated[str, Field(description="what happened, one line")]
    cause: Annotated[
        str,
        Field(
            description="what kind of thing happened: damaged, storage, missing, model, memory, "
            "offline, no scene, file; empty if no stage said why"
        ),
    ]
    window: Annotated[
        WindowRecord | None,
        Field(description="the block that is lost; null if it is more or less than a block"),
    ]


@_closed
class SetAsideRecord(TypedDict):
    """A scene that could not be used, or not everywhere."""

    tile: Annotated[str, Field(description="MGRS tile")]
    scene: Annotated[str, Field(description="name of the scene")]
    file: Annotated[str, Field(description="file that could not be read")]
    reason: Annotated[str, Field(description="what happened, one line")]


@_closed
class LeftOutRecord(TypedDict):
    """A product that the catalogue offers and the job does not use."""

    tile: Annotated[str, Field(description="MGRS tile")]
    scene: Annotated[str, Field(description="name of the scene")]
    sensing: Annotated[str | None, Field(description="start of the datatake, UTC")]
    cloud_cover: Annotated[float | None, Field(description="percent")]
    reason: Annotated[str, Field(description="why it is not used")]


@_closed
class ProductRecord(TypedDict):
    """A raster of the output."""

    layer: Annotated[str, Field(description="name of the layer")]
    tile: Annotated[str, Field(description="MGRS tile, output cell or R/C tile")]
    grid: Annotated[str, Field(description="`utm` or an output grid at a resolution")]
    path: Annotated[str, Field(description="relative to the output")]
    fingerprint: Annotated[str, Field(description="hash of everything that the product depends on")]
    whole: Annotated[bool, Field(description="whether it was made without a loss")]
    size: Annotated[int, Field(description="bytes of the file; 0 if a failed run did not give it")]
    sha256: Annotated[str, Field(description="of the file; empty if a failed run did not give it")]


@_closed
class DomainRecord(TypedDict):
    """The built-up domain in which the greenness is measured, in the MGRS tiles together.

    With `tiles: whole`, a pixel where tiles overlap counts in each.
    """

    pixels: Annotated[int, Field(description="pixels of 10 m in the domain")]
    pixels_of_area: Annotated[int, Field(description="pixels of 10 m that have data")]
    share: Annotated[float | None, Field(description="their ratio, 0 to 1; null without data")]


@_closed
class MasksRecord(TypedDict):
    """How the masks of the scenes were made."""

    method: Annotated[str, Field(description="what finds clouds and their shadows")]
    network: Annotated[str, Field(description="version of the network or classifier, or empty")]
    cloud_m: Annotated[float, Field(description="distance by which clouds grow, metres")]
    shadow_m: Annotated[float, Field(description="distance by which cloud shadows grow, metres")]


@_closed
class ObservationsRecord(TypedDict):
    """Shares of the area, 0 to 1, by the rule of its pixels in S2_QUALITY.

    The area is that of S2_COUNT in the MGRS tiles together. With `tiles: whole`, a pixel where
    tiles overlap counts in each.
    """

    pixels_of_area: Annotated[int, Field(description="pixels of 10 m in S2_COUNT")]
    clear: Annotated[float, Field(description="pixels from clear observations alone")]
    bright: Annotated[float, Field(description="pixels of bright targets")]
    masked: Annotated[float, Field(description="pixels from masked observations alone")]
    none: Annotated[float, Field(description="pixels without data: masked, or never seen")]


@_closed
class TotalRecord(TypedDict):
    """Totals of some ground in hectares; null where the layer does not exist.

    All ground counts once, also where MGRS tiles overlap. A pixel in UTM counts as 100 m². At an
    edge, the part of a pixel that is inside counts.
    """

    area_ha: Annotated[float, Field(description="inside the job's area")]
    observed_ha: Annotated[float, Field(description="with data")]
    built_up_ha: Annotated[
        float | None, Field(description="pixels of class 1 and 2 in RES_NRES, residential and not")
    ]
    residential_ha: Annotated[float | None, Field(description="pixels of class 1 in RES_NRES")]
    non_residential_ha: Annotated[float | None, Field(description="pixels of class 2 in RES_NRES")]
    built_up_sum_ha: Annotated[
        float | None,
        Field(
            description="sum of BUFRAC as a fraction, each times the area of its pixel: built-up "
            "area if calibrated, otherwise a sum of probabilities, which is no area"
        ),
    ]
    greenness: Annotated[
        float | None,
        Field(description="mean NDVI of the built-up domain, -1 to 1; null without such pixels"),
    ]


@_closed
class NamedTotalRecord(TotalRecord):
    """Totals of a tile, a UTM zone or a district."""

    name: Annotated[str, Field(description="`33UUU`, `EPSG:32633`, or the district's name")]


@_closed
class TotalsRecord(TypedDict):
    """Totals of the layers in UTM: of the area, and of its parts."""

    calibrated: Annotated[
        bool, Field(description="whether BUFRAC is a fraction, so that its sum is an area")
    ]
    area: Annotated[
        TotalRecord, Field(description="the job's area, with the ground that no tile has")
    ]
    tiles: Annotated[list[NamedTotalRecord], Field(description="each MGRS tile, by name")]
    zones: Annotated[list[NamedTotalRecord], Field(description="each UTM zone, by name")]
    districts: Annotated[
        list[NamedTotalRecord],
        Field(description="in the order of their file; inside the job's area"),
    ]
    mark: Annotated[
        str,
        Field(description="of what they are counted from; empty if they are to be counted again"),
    ]


@_closed
class FileRecord(TypedDict):
    """A file of the output that is not a product: of the catalogue, the report, or a mosaic."""

    path: Annotated[str, Field(description="relative to the output")]
    size: Annotated[int, Field(description="bytes")]
    sha256: Annotated[str, Field(description="checksum of the file")]


@_closed
class StorageRecord(TypedDict):
    """A storage service that the job uses, its limits, and the share of each machine."""

    service: Annotated[str, Field(description="name of the service")]
    buckets: Annotated[list[str], Field(description="its buckets that the job uses")]
    endpoint: Annotated[str | None, Field(description="null: Amazon S3")]
    keys: Annotated[str, Field(description="where the keys are; never a key")]
    connections: Annotated[int | None, Field(description="of the whole job; null: no limit")]
    requests_per_minute: Annotated[
        int | None, Field(description="of the whole job; null: no limit")
    ]
    machines: Annotated[int, Field(description="that share the limits")]
    connections_each: Annotated[int | None, Field(description="requests at a time of a machine")]
    requests_per_minute_each: Annotated[
        float | None, Field(description="of a machine, with what is kept back")
    ]


@_closed
class RunRecord(TypedDict):
    """A run of ghsl-beam.

    It is written when the run starts (`ended` is null) and again when the run ends in any way. Only
    a killed run leaves it as it was at the start. Times are UTC, ISO 8601.
    """

    job: Annotated[str, Field(description="name of the job, the same as `name`")]
    name: Annotated[str, Field(description="name in the job file")]
    epoch: Annotated[int, Field(description="year of the layers")]
    started: Annotated[str, Field(description="when the run started")]
    ended: Annotated[str | None, Field(description="when the run ended; null at start")]
    seconds: Annotated[float | None, Field(description="how long the run took; null at start")]
    exit_code: Annotated[
        int | None, Field(description="0 whole, 1 failed, 3 finished with losses; null at start")
    ]
    error: Annotated[str | None, Field(description="why it failed, one line")]
    configuration: Annotated[dict[str, Any], Field(description="the job file, resolved")]
    versions: Annotated[
        dict[str, str],
        Field(description="versions of Python and of the packages that results depend on"),
    ]
    machine: Annotated[MachineRecord, Field(description="the machine of the launcher")]
    tiles: Annotated[
        list[TileRecord], Field(description="the MGRS tiles, with networks and scenes")
    ]
    classifier: Annotated[ClassifierRecord, Field(description="the residential classifier")]
    calibration: Annotated[
        CalibrationRecord | None,
        Field(description="null: BUFRAC is an uncalibrated probability, and BUILT_S its sum"),
    ]
    prediction: Annotated[PredictionRecord, Field(description="how the networks were computed")]
    masks: Annotated[MasksRecord, Field(description="how the masks of the scenes were made")]
    storage: Annotated[
        list[StorageRecord], Field(description="the services of the job's `s3://` locations")
    ]
    warnings: Annotated[list[str], Field(description="what the run warned of, one line each")]
    stages: Annotated[
        dict[str, dict[str, float]],
        Field(description="by stage: blocks, pixels, seconds, losses and other counters"),
    ]
    counts: Annotated[dict[str, int], Field(description="number of blocks, pixels and scenes")]
    losses: Annotated[
        list[LossRecord],
        Field(description="everything that could not be made; empty if the run is whole"),
    ]
    scenes_set_aside: Annotated[
        list[SetAsideRecord], Field(description="scenes that could not be used, or not everywhere")
    ]
    scenes_left_out: Annotated[
        list[LeftOutRecord],
        Field(description="products that the catalogue offers and the job does not use"),
    ]
    products: Annotated[list[ProductRecord], Field(description="the rasters of the output")]
    files: Annotated[
        list[FileRecord],
        Field(description="catalogue, report and mosaics; empty until a run reaches its end"),
    ]
    greenness_domain: Annotated[
        DomainRecord | None,
        Field(description="null until a run reaches its end, or if a product does not state it"),
    ]
    observations: Annotated[
        ObservationsRecord | None,
        Field(description="null until a run reaches its end, or if a product does not state it"),
    ]
    outline: Annotated[
        list[list[list[list[float]]]],
        Field(
            description="simplified polygons of the area, coordinates of a MultiPolygon of "
            "GeoJSON in degrees, cut at the antimeridian"
        ),
    ]
    totals: Annotated[
        TotalsRecord | None,
        Field(
            description="null until a run reaches its end, or if a product cannot be read (see "
            "warnings)"
        ),
    ]
    cover: CoverRecord
    earlier_files: Annotated[
        list[str],
        Field(
            description="layers in the output with this name and epoch that are not of this job, "
            "but of an earlier configuration of it"
        ),
    ]
    computed: Annotated[int, Field(description="products that this run made")]
    reused: Annotated[int, Field(description="products that existed and were up to date")]
    credits: Annotated[list[str], Field(description="whom a publication of the products must name")]


RECORD = TypeAdapter(RunRecord)


def record_schema() -> dict[str, Any]:
    """JSON schema of run.json."""
    return RECORD.json_schema()
