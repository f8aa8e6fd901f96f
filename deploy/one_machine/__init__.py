"""Real Flink and Spark clusters on one Linux machine, each host a set of kernel namespaces."""

from . import distribution, hosts
from .cluster import Cluster
from .flink import FlinkCluster
from .spark import SparkCluster

ENGINES: dict[str, type[Cluster]] = {"flink": FlinkCluster, "spark": SparkCluster}


def missing() -> str | None:
    """What this machine lacks to run a cluster, None where it lacks nothing."""
    return hosts.missing() or distribution.missing()


def start(engine: str, network: hosts.Network, workers: int = 2, slots: int = 2) -> Cluster:
    """Start a cluster, which ends with the network.

    Args:
        engine: `flink` or `spark`.
        network: for its hosts; they have this program's environment variables.
        workers: hosts beside the head.
        slots: tasks that each of them runs at a time.

    Raises:
        DistributionError, HostError: see there.
    """
    made = ENGINES[engine](distribution.fetch(engine), network, slots)
    for _ in range(workers):
        made.add_worker()
    made.wait()
    return made
