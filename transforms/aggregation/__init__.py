"""The aggregation stage."""
