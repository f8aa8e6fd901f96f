"""The files that a run leaves beside its products: run record, STAC catalogue, report."""
