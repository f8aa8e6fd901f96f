"""Fits the calibration of networks: from their probability to the fraction of a reference."""
