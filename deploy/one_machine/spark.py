"""A standalone Spark cluster."""

from __future__ import annotations

from pathlib import Path

from .cluster import Cluster
from .hosts import Host

MASTER = 7077
_OPENED = (
    "java.io java.lang java.lang.invoke java.lang.reflect java.net java.nio java.util "
    "java.util.concurrent java.util.concurrent.atomic jdk.internal.ref sun.nio.ch sun.nio.cs "
    "sun.security.action sun.util.calendar"
)
OPENED = tuple(f"--add-opens=java.base/{package}=ALL-UNNAMED" for package in _OPENED.split())
"""Parts of Java 17 that Spark opens in executors; the job server, the driver, needs them too."""


class SparkCluster(Cluster):
    """A master on the head, a worker on each other host."""

    ready = Cluster.ready | {
        "master": "I have been elected leader",
        "worker": "Successfully registered with master",
    }

    @property
    def master(self) -> str:
        """URL of the master."""
        return f"spark://{self.head.address}:{MASTER}"

    @property
    def options(self) -> dict[str, object]:
        """Beam options that replace those of the profile `spark`."""
        return {
            "job_endpoint": self.job_endpoint,
            # Executors have the jars of the job server, but Beam requires at least one file.
            "files_to_stage": [str(next(self.distribution.job_server.glob("args4j-*.jar")))],
        }

    @property
    def _environment(self) -> dict[str, str]:
        return {
            "SPARK_HOME": str(self.distribution.home),
            "SPARK_SCALA_VERSION": "2.12",  # otherwise it looks for the folders of a build
            "JAVA_HOME": str(Path(self.distribution.java).resolve().parents[1]),
        }

    @property
    def _jars(self) -> str:
        return f"{self.distribution.home}/jars/*"

    def start_master(self) -> None:
        """Start the master."""
        command = self.java(self.head, self._jars, "-Xmx256m", "-Dspark.worker.timeout=20")
        command += ["org.apache.spark.deploy.master.Master", "--host", self.head.address]
        self.head.start("master", [*command, "--port", str(MASTER)], self._environment)

    def start_job_server(self) -> None:
        """Start Beam's job server for Spark, which is the driver of every job."""
        settings = {
            "spark.driver.host": self.head.address,
            "spark.executor.cores": self.slots,
            "spark.executor.memory": "512m",
            "spark.executor.extraClassPath": f"{self.distribution.job_server}/*",
            "spark.executor.heartbeatInterval": "2s",
            "spark.network.timeout": "60s",
            "spark.ui.enabled": "false",
        }
        given = [f"-D{key}={value}" for key, value in settings.items()]
        jars = f"{self.distribution.job_server}/*:{self._jars}"
        command = self.java(self.head, jars, "-Xmx768m", "-Dlog4j2.level=INFO", *OPENED, *given)
        command += ["org.apache.beam.runners.spark.SparkJobServerDriver"]
        command += [f"--spark-master-url={self.master}", *self.job_server_arguments()]
        self.head.start("jobserver", command, self._environment)

    def start_worker(self, host: Host) -> None:
        """Start a worker; it starts an executor for each job."""
        command = self.java(host, self._jars, "-Xmx256m")
        command += ["org.apache.spark.deploy.worker.Worker", "--host", host.address]
        command += ["--cores", str(self.slots), "--memory", "1g"]
        command += ["--work-dir", str(host.inside / "work"), self.master]
        local = {"SPARK_LOCAL_DIRS": str(host.inside)}
        host.start("worker", command, self._environment | local)
