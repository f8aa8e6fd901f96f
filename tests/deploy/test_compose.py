"""The compose files: valid by the specification's schema, and each pool beside its worker."""

import json
import re
from importlib import resources
from pathlib import Path

import jsonschema
import pytest
import yaml

from deploy.one_machine.flink import NETWORK_MEMORY
from deploy.one_machine.spark import OPENED
from tests.deploy.launches import taken

ROOT = Path(__file__).resolve().parents[2]
FILES = {name: ROOT / "deploy" / name / "compose.yaml" for name in ("flink", "spark")}
CONSTRAINTS = (ROOT / "constraints.txt").read_text()


@pytest.fixture(scope="module", params=FILES)
def compose(request):
    return yaml.safe_load(FILES[request.param].read_text())


def test_it_is_valid(compose):
    schemas = resources.files("check_jsonschema.builtin_schemas.vendor")
    schema = json.loads((schemas / "compose-spec.json").read_text())
    jsonschema.Draft7Validator(schema).validate(compose)
    assert schema["properties"].keys() >= {"services", "volumes"}, "not the schema of compose"


def test_every_worker_has_a_pool_of_its_own(compose):
    """A worker finds its pool on localhost, and none but its own: they number workers alike."""
    hosts = {}
    for name, service in compose["services"].items():
        if "network_mode" in service:
            pool = service["command"] == ["--worker_pool"]
            hosts.setdefault(service["network_mode"], []).append(
                "pool" if pool else name.rpartition("-")[0]
            )
    assert sorted(hosts) == ["service:host-1", "service:host-2"]
    for sharing in hosts.values():
        assert sorted(sharing) in (["pool", "taskmanager"], ["pool", "worker"])


def test_the_launcher_waits_for_what_it_needs(compose):
    services = compose["services"]
    launcher = services["launcher"]
    assert launcher["profiles"] == ["launch"], "it would start with the cluster"
    assert launcher["image"] == services["pool-1"]["image"]
    for name, wanted in launcher["depends_on"].items():
        assert wanted == {"condition": "service_healthy"}
        # The image has a health check of its own.
        assert "healthcheck" in services[name] or name.startswith("pool-")
    (endpoint,) = (a for a in launcher["command"] if a.startswith("--job_endpoint="))
    assert endpoint == "--job_endpoint=jobserver:8099"


def test_every_image_has_a_version(compose):
    for name, service in compose["services"].items():
        version = re.search(r":(?:\$\{BEAM_VERSION:-)?(\d[\w.-]*)\}*$", service["image"])
        assert version, f"{name}: {service['image']}"
        if name == "jobserver":
            assert f"apache-beam=={version[1]}\n" in CONSTRAINTS


def test_task_managers_have_the_network_memory_that_the_job_needs():
    flink = yaml.safe_load(FILES["flink"].read_text())
    for name, service in flink["services"].items():
        if name.startswith("taskmanager"):
            settings = yaml.safe_load(service["environment"]["FLINK_PROPERTIES"])
            assert {key: str(settings[key]) for key in NETWORK_MEMORY} == NETWORK_MEMORY


def test_spark_s_programs_take_an_option_and_its_value_as_two_words():
    """`--cores=2` is a master's address to Spark's worker, which prints its usage and ends."""
    spark = yaml.safe_load(FILES["spark"].read_text())["services"]
    started = [s["command"] for s in spark.values() if "spark-class" in s.get("command", [""])[0]]
    assert len(started) == 3, "a master and two workers"
    for _, program, *words in started:
        assert program.startswith("org.apache.spark.deploy.")
        assert all(isinstance(word, str) for word in words), "a number is no word of a command"
        assert not any(word.startswith("-") and "=" in word for word in words), words
    options = {"--cores": "2", "--memory": "2g"}
    assert {tuple(words) for _, program, *words in started if program.endswith(".Worker")} == {
        (*(word for option in options.items() for word in option), "spark://master:7077")
    }


def test_the_spark_job_server_is_started_with_what_spark_needs_of_java_17():
    spark = yaml.safe_load(FILES["spark"].read_text())["services"]
    assert spark["jobserver"]["environment"]["JDK_JAVA_OPTIONS"].split() == list(OPENED)


def test_the_launcher_s_options_are_taken(compose):
    command = compose["services"]["launcher"]["command"]
    assert taken(command) == ("run", "/jobs/monthly.yaml")


def test_nothing_is_privileged_or_open_to_the_world(compose):
    for name, service in compose["services"].items():
        assert service["cap_drop"] == ["ALL"], name
        assert not service.get("privileged"), name
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", [])), name
        assert "mem_limit" in service, name


def test_credentials_come_from_a_file_that_is_not_here():
    ignored = (ROOT / ".gitignore").read_text().splitlines()
    assert "/deploy/s3.env" in ignored
    for line in (ROOT / "deploy" / "s3.env.example").read_text().splitlines():
        assert re.fullmatch(r"|#.*|[A-Z_]+=", line), line
    for file in (ROOT / "deploy").rglob("*.yaml"):
        assert not re.search(r"(KEY|SECRET|TOKEN|PASSWORD)\w*[\"']?\s*[:=]\s*\S", file.read_text())
