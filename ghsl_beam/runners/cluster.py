"""Checks a cluster before a launch, and describes its failures in one line.

Beam's own client waits silently for a job server that is dead, and passes on the stack traces of
the cluster's Java. Here each of these becomes one line.
"""

from __future__ import annotations

import http.client
import json
import logging
import re
import shutil
import socket
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import grpc
from apache_beam.options.pipeline_options import (
    FlinkRunnerOptions,
    JobServerOptions,
    PipelineOptions,
    PortableOptions,
    SparkRunnerOptions,
    StandardOptions,
)
from apache_beam.portability.api import beam_job_api_pb2, beam_job_api_pb2_grpc
from apache_beam.runners.runner import PipelineResult, PipelineState

from ghsl_beam.runners.beam_options import ClusterOptions
from transforms.elements import GhslBeamError, RequestError, StorageError

SECONDS = 5.0
"""Longest time for a part of the cluster to answer."""
_NO_FLINK = (OSError, http.client.HTTPException, ValueError, KeyError, TypeError, AttributeError)
"""Errors if a server that is not Flink is asked for its configuration."""
LOOK_EVERY = 2.0
"""Seconds between two checks whether a worker has begun."""
_LOG = logging.getLogger(__name__)
_STARTED = ("[local]", "[auto]")
"""Beam's names for a Flink that it starts itself."""
_RUNNERS = ("FlinkRunner", "SparkRunner", "PortableRunner")


class ClusterError(GhslBeamError):
    """The cluster cannot be reached, does not fit, or ended the job: exit code 1."""


def server_options(options: PipelineOptions) -> frozenset[str]:
    """Options that a running job server accepts beside Beam's; empty without `--job_endpoint`.

    Raises:
        RequestError: `--job_endpoint` is not an address.
        ClusterError: `--job_endpoint` does not answer, or is not a job server.
    """
    endpoint = options.view_as(PortableOptions).job_endpoint
    if not endpoint:
        return frozenset()
    _refuse_credentials("--job_endpoint", endpoint)
    _connect("--job_endpoint", endpoint)
    try:
        with grpc.insecure_channel(endpoint) as channel:
            answer = beam_job_api_pb2_grpc.JobServiceStub(channel).DescribePipelineOptions(
                beam_job_api_pb2.DescribePipelineOptionsRequest(), timeout=SECONDS
            )
    except grpc.RpcError as error:
        raise ClusterError(
            f"--job_endpoint {endpoint}: the answer is not from a job server of Beam: "
            f"{error.code().name}"
        ) from error
    return frozenset(option.name for option in answer.options)


def check(options: PipelineOptions) -> None:
    """Check that everything a runner needs exists and fits, before it gets the job.

    Raises:
        RequestError: an address is wrong or missing.
        ClusterError: the job server or the cluster's master does not answer or has another version,
            or there is no Java to start a job server.
    """
    runner = options.view_as(StandardOptions).runner
    if runner not in _RUNNERS:
        return
    if options.view_as(PortableOptions).job_endpoint:
        server_options(options)
        return
    if runner == "PortableRunner":
        raise RequestError(
            f"--runner {runner}: give --job_endpoint of a running job server, "
            "or use FlinkRunner or SparkRunner, which start one"
        )
    if runner == "FlinkRunner":
        flink = options.view_as(FlinkRunnerOptions)
        _check_flink(flink)
        _check_jar("--flink_job_server_jar", flink.flink_job_server_jar)
        if flink.flink_submit_uber_jar and flink.flink_master not in _STARTED:
            return  # the cluster's own Java runs the jar
    else:
        spark = options.view_as(SparkRunnerOptions)
        if spark.spark_submit_uber_jar:
            raise RequestError(
                "--spark_submit_uber_jar: a job in this form has no metrics, which the record "
                "needs: leave the option out, or give --job_endpoint of a running job server"
            )
        _check_spark(spark.spark_master_url)
        _check_jar("--spark_job_server_jar", spark.spark_job_server_jar)
    java = options.view_as(JobServerOptions).job_server_java_launcher
    if shutil.which(java) is None:
        raise ClusterError(
            f"--runner {runner}: {java} is missing, which starts Beam's job server: install Java, "
            "or give --job_endpoint of a running job server"
        )


def _check_jar(option: str, jar: str | None) -> None:
    """Check that a jar is a local file, or a URL from which Beam downloads it."""
    if jar and "://" not in jar and not Path(jar).is_file():
        raise RequestError(f"{option} {jar}: no such file")


def _check_spark(master: str) -> None:
    if not master.startswith("spark://"):  # `local[4]`, or another kind of cluster
        return
    _refuse_credentials("--spark_master_url", master)
    _connect_to_one("--spark_master_url", master.removeprefix("spark://"))


def _check_flink(options: FlinkRunnerOptions) -> None:
    master = options.flink_master
    if master in _STARTED:
        return
    _refuse_credentials("--flink_master", master)
    url = master if "://" in master else f"http://{master}"
    try:
        parts = urlsplit(url)
        default = {"http": 80, "https": 443}[parts.scheme]
        host = parts.netloc if parts.port is not None else f"{parts.netloc}:{default}"
        _parsed(host)
    except (ValueError, KeyError) as error:
        text = f"--flink_master {master}: expected HOST:PORT, or its URL (http)"
        raise RequestError(text) from error
    _connect("--flink_master", host)
    try:
        with urllib.request.urlopen(f"{url}/config", timeout=SECONDS) as answer:  # noqa: S310
            version = json.loads(answer.read(1 << 16))["flink-version"]
            fits = version.startswith(f"{options.flink_version}.")
    except _NO_FLINK as error:
        raise ClusterError(
            f"--flink_master {master}: is not a JobManager of Flink: {error}"
        ) from error
    if not fits:
        raise ClusterError(
            f"--flink_master {master}: has Flink {version}, expected {options.flink_version}: "
            "set --flink_version, or use a cluster of that version"
        )


def _connect_to_one(option: str, addresses: str) -> None:
    """Connect to one of several masters in standby, separated by commas."""
    *others, last = addresses.split(",")
    for address in others:
        try:
            return _connect(option, address)
        except ClusterError:
            continue
    return _connect(option, last)


def _refuse_credentials(option: str, address: str) -> None:
    """Refuse credentials in an address: Beam would print them, and does not use them."""
    if "@" in address:
        raise RequestError(f"{option}: has credentials in the address, expected only HOST:PORT")


def _connect(option: str, address: str) -> None:
    try:
        with socket.create_connection(_parsed(address), SECONDS):
            pass
    except ValueError as error:
        raise RequestError(f"{option} {address}: expected HOST:PORT") from error
    except OSError as error:
        reason = error.strerror or error
        raise ClusterError(f"{option} {address}: cannot be reached: {reason}") from error


def _parsed(address: str) -> tuple[str, int]:
    """Host and port, or ValueError; `socket` itself would take 65558 as 22."""
    host, _, port = address.rpartition(":")
    if not (host and port.isdecimal() and 0 < int(port) < 1 << 16):
        raise ValueError(address)
    return host.strip("[]"), int(port)


def await_worker(
    result: PipelineResult, options: PipelineOptions, has_begun: Callable[[], bool]
) -> None:
    """Wait until a worker has begun or the job has ended.

    A cluster without a free slot may wait for ever. So may a job whose tasks the cluster cannot
    read: Spark's executors silently ignore the tasks of a driver of another version.

    Args:
        result: the job on the cluster.
        options: the options of the launch; `--worker_start_timeout` is the limit.
        has_begun: whether a worker has begun; a StorageError means "unknown".

    Raises:
        ClusterError: no worker began in time.
    """
    seconds = options.view_as(ClusterOptions).worker_start_timeout
    if options.view_as(StandardOptions).runner not in _RUNNERS or not seconds:
        return
    start = time.monotonic()
    while not PipelineState.is_terminal(result.state):
        try:
            if has_begun():
                _LOG.info("a worker has begun", extra={"seconds": round(time.monotonic() - start)})
                return
        except StorageError as error:
            _LOG.info("it is unknown whether a worker has begun: %s", error)
        else:
            if time.monotonic() >= start + seconds:
                raise ClusterError(
                    f"no worker began within {seconds} s (--worker_start_timeout), and the cluster "
                    "gives no reason: it may have no free slots, or another version than the job "
                    "server"
                )
        time.sleep(LOOK_EVERY)


def reason(text: str) -> str:
    """The reason in a cluster's error: the innermost cause, without stack traces.

    The text is Beam's "Pipeline ... failed in state FAILED: ..." around Java exceptions, which may
    contain the traceback of a Python worker.
    """
    lines = [line.strip() for line in text.partition(" failed in state ")[2].splitlines()]
    lines = lines or text.splitlines() or ["it gave no reason"]
    causes = [i for i, line in enumerate(lines) if line.startswith("Caused by: ")]
    lines = lines[causes[-1] :] if causes else lines
    if any("Traceback (most recent call last)" in line for line in lines):
        # The line after the last frame of Python; each frame is a place and its code.
        python = [line for line in lines if re.match(r"[A-Za-z_][\w.]*(Error|Exception)\b", line)]
        lines = python[-1:] or lines
    return lines[0].removeprefix("Caused by: ").removeprefix("FAILED: ")


@contextmanager
def failures_in_one_line(options: PipelineOptions) -> Iterator[None]:
    """Turn a cluster's report of a failed job into one error; the full report is in the log file.

    Raises:
        ClusterError: the job failed on the cluster, or the job server is gone.
    """
    if options.view_as(StandardOptions).runner not in _RUNNERS:
        yield
        return
    root = logging.getLogger()
    root.addFilter(_for_the_file)
    try:
        yield
    except grpc.RpcError as error:
        answer = f"{error.code().name} {error.details()}".strip()
        raise ClusterError(f"the job server failed or is gone: {answer}") from error
    except OSError as error:  # Beam's client downloads or uploads a jar
        detail = " ".join(f"{type(error).__name__}: {error}".split())
        raise ClusterError(f"cannot submit the job to the cluster: {detail}") from error
    except RuntimeError as error:
        raise ClusterError(f"the cluster did not finish the job: {reason(str(error))}") from error
    finally:
        root.removeFilter(_for_the_file)


def _for_the_file(record: logging.LogRecord) -> bool:
    """Lower the job server's messages to info: Beam logs them as errors without a logger name."""
    record.levelno, record.levelname = logging.INFO, "INFO"
    return True
