"""Faults, injected: what the job meets, and what it makes of it."""
