"""A standalone Flink session cluster."""

from __future__ import annotations

import json
from pathlib import Path

from .cluster import Cluster
from .hosts import Host

REST, RPC = 8081, 6123
_MASTER = "org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint"
_WORKER = "org.apache.flink.runtime.taskexecutor.TaskManagerRunner"
_OPENED = (
    "java.io java.lang java.lang.reflect java.net java.nio java.text java.time java.util "
    "java.util.concurrent java.util.concurrent.atomic java.util.concurrent.locks sun.nio.ch"
)
OPENED = (
    *(f"--add-opens=java.base/{package}=ALL-UNNAMED" for package in _OPENED.split()),
    "--add-exports=java.base/sun.net.util=ALL-UNNAMED",
    "--add-exports=java.security.jgss/sun.security.krb5=ALL-UNNAMED",
)
"""Parts of Java 17 that Flink's default configuration opens, if they are used here."""
JOB_SERVER = "org.apache.beam.runners.flink.FlinkJobServerDriver"
"""The class of Beam's job server for Flink."""
_LOGGING = """
rootLogger.level = INFO
rootLogger.appenderRef.console.ref = console
appender.console.name = console
appender.console.type = CONSOLE
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d %p %c{1} - %m%n
"""
NETWORK_MEMORY = {
    "taskmanager.memory.network.min": "256m",
    "taskmanager.network.sort-shuffle.min-buffers": "64",
}
"""The job has many small exchanges: by default each takes 16 MB."""
_MEMORY = {
    "framework.heap.size": "128m",
    "framework.off-heap.size": "128m",
    "task.heap.size": "384m",
    "task.off-heap.size": "64m",
    "network.max": "256m",
    "managed.size": "128m",
    "jvm-metaspace.size": "256m",
    "jvm-overhead.min": "192m",
    "jvm-overhead.max": "192m",
}
"""The sizes that Flink's shell script computes from one total."""


class FlinkCluster(Cluster):
    """A JobManager on the head, a TaskManager on each worker."""

    ready = Cluster.ready | {
        "jobmanager": "Rest endpoint listening",
        "taskmanager": "Successful registration at resource manager",
    }

    @property
    def master(self) -> str:
        """Address of the REST interface."""
        return f"{self.head.address}:{REST}"

    @property
    def options(self) -> dict[str, object]:
        """Beam options that replace those of the profile `flink`."""
        return {
            "job_endpoint": self.job_endpoint,
            "parallelism": self.slots * len(self.workers),
            # TaskManagers have the jars of the job server, but Beam requires at least one file.
            "files_to_stage": [str(next(self.distribution.job_server.glob("minlog-*.jar")))],
        }

    def start_master(self) -> None:
        """Start the JobManager."""
        self._start(self.head, "jobmanager", _MASTER, "-Xmx512m", {})

    def start_job_server(self) -> None:
        """Start Beam's job server for Flink."""
        command = self.java(self.head, f"{self.distribution.job_server}/*", "-Xmx512m")
        command += [JOB_SERVER, f"--flink-master={self.master}", *self.job_server_arguments()]
        self.head.start("jobserver", command)

    def start_worker(self, host: Host) -> None:
        """Start a TaskManager."""
        configuration = {
            "taskmanager.host": host.address,
            "taskmanager.bind-host": "0.0.0.0",  # noqa: S104 - on the host's own network
            "taskmanager.resource-id": host.name,
            "taskmanager.numberOfTaskSlots": self.slots,
            "taskmanager.cpu.cores": self.slots,
            **NETWORK_MEMORY,
            **{f"taskmanager.memory.{key}": size for key, size in _MEMORY.items()},
        }
        self._start(host, "taskmanager", _WORKER, "-Xmx512m", configuration)

    def _start(self, host: Host, name: str, entry: str, heap: str, more: dict[str, object]) -> None:
        """Start one of Flink's programs with its own configuration."""
        configuration = {
            "jobmanager.rpc.address": self.head.address,
            "jobmanager.rpc.port": RPC,
            "jobmanager.bind-host": "0.0.0.0",  # noqa: S104 - on the host's own network
            "rest.address": self.head.address,
            "rest.bind-address": "0.0.0.0",  # noqa: S104 - on the host's own network
            "rest.port": REST,
            "io.tmp.dirs": str(host.inside),
            "cluster.evenly-spread-out-slots": True,
            # Without a strategy a lost TaskManager ends the job.
            "restart-strategy.type": "fixed-delay",
            "restart-strategy.fixed-delay.attempts": 5,
            "restart-strategy.fixed-delay.delay": "2 s",
            "heartbeat.interval": 2000,
            "heartbeat.timeout": 20000,
            **more,
        }
        folder, inside = host.folder / name, Path(host.inside, name)
        folder.mkdir()
        lines = [f"{key}: {json.dumps(value)}\n" for key, value in configuration.items()]
        (folder / "config.yaml").write_text("".join(lines))
        (folder / "log4j.properties").write_text(_LOGGING)
        logging = f"-Dlog4j.configurationFile={inside}/log4j.properties"
        jars = f"{self.distribution.home}/lib/*:{self.distribution.job_server}/*"
        command = self.java(host, jars, heap, *OPENED, logging)
        host.start(name, [*command, entry, "--configDir", str(inside)])
