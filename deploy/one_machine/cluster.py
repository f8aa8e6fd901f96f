"""The common parts of a Flink and a Spark cluster: a head, and workers with a pool each."""

from __future__ import annotations

import os
import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from .distribution import Distribution
from .hosts import Host, Network

JOB_SERVER, ARTIFACTS, POOL = 8099, 8098, 50000
"""Ports. They are always free, because each host has its own network."""


class Cluster(ABC):
    """A cluster: the head runs the engine's master and Beam's job server.

    Attributes:
        distribution: the engine and the job server for it.
        network: the hosts.
        slots: number of tasks that a worker runs at the same time.
        head: the first host.
        workers: the other hosts.
    """

    ready: ClassVar[Mapping[str, str]] = {
        "jobserver": "JobService started on",
        "pool": "Started worker pool servicer",
    }
    """Text in the log of each process that shows that it is ready."""

    def __init__(self, distribution: Distribution, network: Network, slots: int) -> None:
        """Start the head; its job server may not be ready yet."""
        self.distribution, self.network, self.slots = distribution, network, slots
        self.head = network.add("head")
        self.workers: list[Host] = []
        self.start_master()
        self.wait()
        self.start_job_server()

    @property
    def job_endpoint(self) -> str:
        """Address of Beam's job server."""
        return f"{self.head.address}:{JOB_SERVER}"

    @property
    @abstractmethod
    def options(self) -> dict[str, object]:
        """Beam options that replace those of the engine's profile."""

    @abstractmethod
    def start_master(self) -> None:
        """Start the engine's master on the head."""

    @abstractmethod
    def start_job_server(self) -> None:
        """Start Beam's job server on the head."""

    @abstractmethod
    def start_worker(self, host: Host) -> None:
        """Start the engine's worker on a host."""

    def add_worker(self) -> Host:
        """Add a worker and its pool, on a new host."""
        host = self.network.add(f"worker-{len(self.network.hosts)}")
        self.workers.append(host)
        # Beam's pool starts `python` by that name: it must be the Python that has the package.
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
        pool = [sys.executable, "-m", "apache_beam.runners.worker.worker_pool_main"]
        # And it must not import anything from the folder where it is started.
        variables = {"PATH": path, "MALLOC_ARENA_MAX": "2", "PYTHONSAFEPATH": "1"}
        host.start("pool", [*pool, f"--service_port={POOL}"], variables)
        self.start_worker(host)
        return host

    def lose_worker(self) -> None:
        """End the host of a worker, as a power cut does."""
        self.workers.pop(0).kill()

    def wait(self) -> None:
        """Wait until everything that was started is ready.

        Raises:
            HostError: a process ended, or is not ready after four minutes.
        """
        for host in (self.head, *self.workers):
            for process in host.processes:
                process.wait_for(self.ready[process.name], 240)

    def java(self, host: Host, class_path: str, *options: str) -> list[str]:
        """The command of a Java program on a host; its class and arguments are to be added."""
        common = ["-XX:+UseSerialGC", "-XX:-UsePerfData", f"-Djava.io.tmpdir={host.inside}"]
        return [self.distribution.java, *common, *options, "-cp", class_path]

    def job_server_arguments(self) -> list[str]:
        """Arguments for the job servers of both engines."""
        return [
            f"--job-host={self.head.address}",
            f"--job-port={JOB_SERVER}",
            f"--artifact-port={ARTIFACTS}",
            "--expansion-port=0",
            f"--artifacts-dir={self.head.inside}/artifacts",
        ]
