"""Servers on the loopback, processes and signals: what others do to the job, and how it ends."""
