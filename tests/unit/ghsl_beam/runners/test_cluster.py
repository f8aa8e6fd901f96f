"""Whether a cluster is there and fits is known before anything is handed to it, in one line."""

import json
import socket
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.local_job_service import LocalJobServicer
from apache_beam.runners.runner import PipelineState

from ghsl_beam.runners import cluster
from ghsl_beam.runners.beam_options import parsed
from ghsl_beam.runners.cluster import ClusterError
from transforms.elements import RequestError, StorageError


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(cluster, "SECONDS", 1.0)


@pytest.fixture
def nobody():
    """An address that nobody listens on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{taken.getsockname()[1]}"


@contextmanager
def http(answer):
    """A server that answers every request with a JSON document; its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            body = json.dumps(answer).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


def check(*arguments):
    cluster.check(PipelineOptions(list(arguments)))


@pytest.mark.parametrize(
    "arguments",
    [
        ("--runner=FlinkRunner", "--job_endpoint={}"),
        ("--runner=SparkRunner", "--job_endpoint={}"),
        ("--runner=PortableRunner", "--job_endpoint={}"),
        ("--runner=FlinkRunner", "--flink_master={}"),
        ("--runner=FlinkRunner", "--flink_master=http://{}"),
        ("--runner=SparkRunner", "--spark_master_url=spark://{}"),
    ],
)
def test_nobody_there(nobody, arguments):
    with pytest.raises(ClusterError, match=f"{nobody}: cannot be reached: ") as raised:
        check(*(argument.format(nobody) for argument in arguments))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("address", ["flink", "flink:", "flink:web", ":1", "localhost:99999"])
def test_no_address(address):
    with pytest.raises(RequestError, match=f"--job_endpoint {address}: expected HOST:PORT"):
        check("--runner=FlinkRunner", f"--job_endpoint={address}")


@pytest.mark.parametrize(
    "master",
    [
        "localhost:abc",
        "localhost:99999",
        "localhost:0",
        "http://",
        "http://[::1",
        "ftp://localhost:21",
        "spark://localhost:7077",
    ],
)
def test_no_address_of_a_jobmanager(master):
    with pytest.raises(RequestError) as refused:
        check("--runner=FlinkRunner", f"--flink_master={master}")
    assert str(refused.value) == f"--flink_master {master}: expected HOST:PORT, or its URL (http)"


@pytest.mark.parametrize(
    "master", ["spark://", "spark://localhost", "spark://localhost:a,b:1", "spark://[abc"]
)
def test_no_address_of_a_spark_master(master):
    with pytest.raises(RequestError, match=r"--spark_master_url .*: expected HOST:PORT"):
        check("--runner=SparkRunner", f"--spark_master_url={master}")


def test_portable_runner_needs_a_job_server_that_runs():
    with pytest.raises(RequestError) as refused:
        check("--runner=PortableRunner", "--job_server_java_launcher=/nowhere/java")
    assert str(refused.value).startswith("--runner PortableRunner: give --job_endpoint")
    assert "Java" not in str(refused.value)


def test_a_port_that_is_no_job_server():
    with (
        http({}) as address,
        pytest.raises(
            ClusterError, match=f"{address}: the answer is not from a job server of Beam"
        ),
    ):
        check("--runner=FlinkRunner", f"--job_endpoint={address}")


def test_a_server_that_says_nothing():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(ClusterError, match="the answer is not from a job server of Beam"):
            check("--runner=FlinkRunner", f"--job_endpoint={address}")


def test_a_job_server(tmp_path):
    servicer = LocalJobServicer(str(tmp_path))
    port = servicer.start_grpc_server()
    try:
        check("--runner=FlinkRunner", f"--job_endpoint=localhost:{port}")
    finally:
        servicer.stop()


def test_flink_of_the_version_asked_for():
    with http({"flink-version": "1.19.3"}) as address:
        check("--runner=FlinkRunner", f"--flink_master={address}", "--flink_version=1.19")


def test_flink_of_another_version():
    with (
        http({"flink-version": "1.190.1"}) as address,
        pytest.raises(ClusterError, match=r"has Flink 1\.190\.1, expected 1\.19:"),
    ):
        check("--runner=FlinkRunner", f"--flink_master={address}", "--flink_version=1.19")


def test_a_page_that_is_no_flink():
    with (
        http(["nothing"]) as address,
        pytest.raises(ClusterError, match=f"{address}: is not a JobManager of Flink"),
    ):
        check("--runner=FlinkRunner", f"--flink_master={address}")


def test_a_version_that_is_no_text():
    with (
        http({"flink-version": 1.19}) as address,
        pytest.raises(ClusterError, match=f"{address}: is not a JobManager of Flink"),
    ):
        check("--runner=FlinkRunner", f"--flink_master={address}")


def test_a_port_that_speaks_no_http():
    def answer():
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            with connection:
                if connection.recv(1000):
                    connection.sendall(b"\x00\x00\x12\x04garbage\r\n")

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=answer, daemon=True).start()
        address = f"127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(
            ClusterError, match=f"{address}: is not a JobManager of Flink"
        ) as raised:
            check("--runner=FlinkRunner", f"--flink_master={address}")
    assert len(str(raised.value).splitlines()) == 1


def test_no_java():
    with http({"flink-version": "1.19.3"}) as address, pytest.raises(ClusterError, match="Java"):
        check(
            "--runner=FlinkRunner",
            f"--flink_master={address}",
            "--flink_version=1.19",
            "--job_server_java_launcher=/nowhere/java",
        )


def test_a_jar_that_is_handed_over_needs_no_java_here():
    with http({"flink-version": "1.19.3"}) as address:
        check(
            "--runner=FlinkRunner",
            "--flink_submit_uber_jar",
            f"--flink_master={address}",
            "--flink_version=1.19",
            "--job_server_java_launcher=/nowhere/java",
        )


def test_a_job_without_metrics_is_refused():
    with pytest.raises(
        RequestError, match="--spark_submit_uber_jar: a job in this form has no metrics"
    ):
        check("--runner=SparkRunner", "--spark_submit_uber_jar", "--spark_rest_url=http://a:1")


@pytest.mark.parametrize(
    "arguments",
    [
        ("--runner=FlinkRunner", "--job_endpoint={}"),
        ("--runner=FlinkRunner", "--flink_master={}"),
        ("--runner=FlinkRunner", "--flink_master=https://{}"),
        ("--runner=SparkRunner", "--spark_master_url=spark://{}"),
    ],
)
def test_credentials_in_an_address_are_refused_and_not_printed(arguments):
    given = [argument.format("ops:planted-secret@localhost:1") for argument in arguments]
    with pytest.raises(RequestError, match="has credentials in the address") as refused:
        check(*given)
    assert "planted-secret" not in str(refused.value)


@pytest.mark.parametrize("engine", ["flink", "spark"])
def test_a_jar_that_is_not_there(engine, tmp_path):
    jar = tmp_path / "job-server.jar"
    given = (f"--runner={engine}Runner", f"--{engine}_job_server_jar={jar}")
    given += ("--flink_master=[local]", "--job_server_java_launcher=sh")
    options = parsed(given)
    with pytest.raises(RequestError, match=r"job-server.jar: no such file"):
        cluster.check(options)
    jar.touch()
    cluster.check(options)
    cluster.check(parsed([*given, f"--{engine}_job_server_jar=https://host/a.jar"]))


def test_what_beam_s_client_cannot_do_is_one_line():
    options = PipelineOptions(["--runner=FlinkRunner"])
    with pytest.raises(ClusterError) as raised, cluster.failures_in_one_line(options):
        raise ConnectionError("HTTPConnectionPool:\nMax retries exceeded")
    assert str(raised.value) == (
        "cannot submit the job to the cluster: "
        "ConnectionError: HTTPConnectionPool: Max retries exceeded"
    )


def test_a_flink_that_beam_starts_needs_java():
    with pytest.raises(ClusterError, match="Java"):
        check(
            "--runner=FlinkRunner",
            "--flink_master=[local]",
            "--flink_submit_uber_jar",
            "--job_server_java_launcher=/nowhere/java",
        )


class Waiting:
    """A job that is in one state after the other, and stays in the last."""

    def __init__(self, *states):
        self._states = list(states)

    @property
    def state(self):
        return self._states.pop(0) if len(self._states) > 1 else self._states[0]


def await_worker(job, has_begun, *arguments, runner="SparkRunner", monkeypatch):
    monkeypatch.setattr(cluster, "LOOK_EVERY", 0.01)
    cluster.await_worker(job, parsed([f"--runner={runner}", *arguments]), has_begun)


@pytest.mark.parametrize("runner", ["FlinkRunner", "SparkRunner", "PortableRunner"])
def test_a_cluster_on_which_no_worker_begins_is_given_up(runner, monkeypatch):
    job, start = Waiting(PipelineState.STARTING, PipelineState.RUNNING), time.monotonic()
    with pytest.raises(ClusterError, match=r"no worker began within 1 s") as raised:
        await_worker(
            job,
            lambda: False,
            "--worker_start_timeout=1",
            runner=runner,
            monkeypatch=monkeypatch,
        )
    assert time.monotonic() - start >= 1
    assert len(str(raised.value).splitlines()) == 1


def test_a_worker_that_begins_ends_the_wait(monkeypatch):
    answers = iter([False, False, True])
    await_worker(Waiting("RUNNING"), lambda: next(answers), monkeypatch=monkeypatch)
    assert list(answers) == []


def test_a_job_that_ends_before_a_worker_begins_is_not_waited_for(monkeypatch):
    job = Waiting(PipelineState.RUNNING, PipelineState.FAILED)
    await_worker(job, lambda: False, monkeypatch=monkeypatch)


def test_a_storage_that_does_not_say_is_asked_again(monkeypatch):
    looks = []

    def has_begun():
        looks.append(time.monotonic())
        if looks[-1] - looks[0] < 1.5:
            raise StorageError("s3://bucket/work/sums", "it does not answer")
        return True

    arguments = ("--worker_start_timeout=1",)
    await_worker(Waiting("RUNNING"), has_begun, *arguments, monkeypatch=monkeypatch)
    assert len(looks) > 2


def test_without_a_limit_the_job_alone_is_waited_for(monkeypatch):
    def never():
        raise AssertionError("was asked")

    arguments = ("--worker_start_timeout=0",)
    await_worker(Waiting("RUNNING"), never, *arguments, monkeypatch=monkeypatch)
    await_worker(Waiting("RUNNING"), never, runner="DirectRunner", monkeypatch=monkeypatch)


def test_this_machine_needs_no_cluster(nobody):
    check("--runner=DirectRunner", f"--job_endpoint={nobody}")
    check()


def test_one_of_several_spark_masters_answers(nobody):
    with http({}) as there, pytest.raises(ClusterError, match="nothing here is missing"):
        check(
            "--runner=SparkRunner",
            f"--spark_master_url=spark://{nobody},{there}",
            "--job_server_java_launcher=nothing here",
        )
    with pytest.raises(ClusterError, match="cannot be reached"):
        check("--runner=SparkRunner", f"--spark_master_url=spark://{nobody},{nobody}")


@pytest.mark.parametrize(("master", "port"), [("https://localhost", 443), ("http://localhost", 80)])
def test_an_address_without_a_port_has_its_scheme_s(master, port, monkeypatch):
    asked = []
    monkeypatch.setattr(cluster, "_connect", lambda option, address: asked.append(address))
    with pytest.raises(ClusterError):
        check("--runner=FlinkRunner", f"--flink_master={master}")
    assert asked == [f"localhost:{port}"]


def test_a_failure_without_a_reason():
    assert cluster.reason("") == "it gave no reason"
