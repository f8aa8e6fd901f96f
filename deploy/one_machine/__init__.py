"""Real Flink and Spark clusters on one Linux machine, each host a set of kernel namespaces."""

from . import distribution, hosts
from .cluster import Cluster
from .flink import FlinkCluster
from .spark import SparkCluster

ENGINES: dict[str, type[Cluster]] = {"flink": FlinkCluster, "spark": SparkCluster}


def missing() -> str | None:
    """What this machine lacks to run a cluster; None if it lacks nothing."""
    return hosts.missing() or distribution.missing()


def start(engine: str, network: hosts.Network, workers: int = 2, slots: int = 2) -> Cluster:
    """Start a cluster, which ends together with the network.

    Args:
        engine: `flink` or `spark`.
        network: network of its hosts. They have the environment variables of this program.
        workers: number of hosts in addition to the head.
        slots: number of tasks that a worker runs at the same time.

    Raises:
        DistributionError: the engine cannot be downloaded.
        HostError: a host or a process on it cannot be started.
    """
    made = ENGINES[engine](distribution.fetch(engine), network, slots)
    for _ in range(workers):
        made.add_worker()
    made.wait()
    return made
