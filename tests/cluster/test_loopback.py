"""For a quick try: Flink inside the job server, the workers inside the launching process."""

import re
import subprocess
import sys
import time

import pytest

from deploy.one_machine import distribution, flink
from tests.pipeline.faults.conftest import small_job
from tests.support.jobs import differing, layers


@pytest.fixture
def job_endpoint(tmp_path):
    """Address of a job server that needs no cluster."""
    lack = distribution.missing()
    if lack:
        pytest.skip(f"no job server can be started: {lack}")
    found = distribution.fetch("flink")
    jars = f"{found.job_server}/*"
    command = [found.java, *flink.OPENED, "-Xmx512m", f"-Djava.io.tmpdir={tmp_path}", "-cp", jars]
    command += [flink.JOB_SERVER, "--flink-master=[local]"]
    command += ["--job-port=0", "--artifact-port=0", "--expansion-port=0"]
    log = tmp_path / "job-server.log"
    with log.open("wb") as output:
        server = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
    try:
        until = time.monotonic() + 60
        while not (started := re.search(r"JobService started on (\S+:\d+)", log.read_text())):
            assert server.poll() is None, log.read_text()
            assert time.monotonic() < until, log.read_text()
            time.sleep(0.1)
        yield started[1]
    finally:
        server.kill()
        server.wait()


def test_a_quick_try_without_a_cluster(job_endpoint, tmp_path):
    job = small_job(tmp_path / "job")
    output = tmp_path / "quick"
    command = [sys.executable, "-m", "ghsl_beam", "run", str(job.file), "--quiet"]
    command += ["--set", f"output={output}", "--profile", "flink"]
    command += ["--flink_master=[local]", "--parallelism=1"]
    command += [f"--job_endpoint={job_endpoint}", "--environment_type=LOOPBACK"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert not any(differing(layers(job.run()[0]), layers(output)).values())
