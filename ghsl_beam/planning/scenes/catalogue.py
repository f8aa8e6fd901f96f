"""Makes the catalogue that a job file names."""

from __future__ import annotations

from ghsl_beam.jobfile.sources import Input, Source
from transforms.assembly import Archive, Catalogue
from transforms.assembly.catalogues.creodias import CreodiasFinder
from transforms.assembly.catalogues.json_service import JsonService
from transforms.assembly.catalogues.odata import COPERNICUS, OData
from transforms.assembly.catalogues.stac import StacCatalogue


def catalogue_of(settings: Input) -> Catalogue:
    """The catalogue of a job.

    Raises:
        RequestError: it needs a package that is not installed here.
    """
    archive = settings.place
    match settings.source:
        case Source.ARCHIVE:
            return Archive(archive)
        case Source.STAC:
            return StacCatalogue(settings.preset, settings.archive or "")
        case Source.ODATA:
            return OData(JsonService(str(settings.catalogue or COPERNICUS)), archive)
        case Source.CREODIAS_FINDER:
            return CreodiasFinder(archive)
