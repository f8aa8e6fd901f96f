"""What a run leaves beside its products: the run record, the STAC catalogue, the report."""
