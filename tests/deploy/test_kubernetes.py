"""The Kubernetes manifests: valid by Kubernetes' schemas and the Flink operator's own."""

import shutil
import subprocess
import zipfile
from pathlib import Path

import jsonschema
import pytest
import yaml
from kubernetes_validate import validate

from deploy.one_machine.flink import NETWORK_MEMORY
from tests.deploy.launches import taken

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "deploy" / "kubernetes"
VERSION = "1.32"
OPERATOR = "org.apache.flink:flink-kubernetes-operator-api:1.10.0"


def manifests():
    return [
        document
        for file in sorted(FOLDER.glob("*.yaml"))
        for document in yaml.safe_load_all(file.read_text())
    ]


def name_of(manifest):
    return manifest["kind"], manifest["metadata"]["name"]


def named(kind, name):
    (found,) = (manifest for manifest in manifests() if name_of(manifest) == (kind, name))
    return found


def pod_specs():
    """Every pod specification; the TaskManager's and JobManager's as the operator merges them."""
    flink = named("FlinkDeployment", "ghsl-beam")["spec"]
    own = flink["taskManager"]["podTemplate"]["spec"]
    yield {
        **flink["podTemplate"]["spec"],
        **own,
        "containers": [{**flink["podTemplate"]["spec"]["containers"][0], "image": flink["image"]}],
    }
    yield named("Deployment", "ghsl-beam-jobserver")["spec"]["template"]["spec"]
    yield named("CronJob", "ghsl-beam-monthly")["spec"]["jobTemplate"]["spec"]["template"]["spec"]


@pytest.mark.parametrize("manifest", manifests(), ids=lambda one: "-".join(name_of(one)))
def test_it_is_valid(manifest):
    if manifest["kind"] == "FlinkDeployment":
        for spec in (manifest["spec"], manifest["spec"]["taskManager"]):
            pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {}, **spec["podTemplate"]}
            validate(pod, VERSION, strict=True)
    else:
        validate(manifest, VERSION, strict=True)


def strict(schema):
    """The schema with unknown keys refused, which Kubernetes would drop in silence."""
    if isinstance(schema, dict):
        schema = {key: strict(value) for key, value in schema.items()}
        if "properties" in schema and not schema.get("x-kubernetes-preserve-unknown-fields"):
            schema.setdefault("additionalProperties", False)
    elif isinstance(schema, list):
        schema = [strict(value) for value in schema]
    return schema


@pytest.fixture(scope="module")
def flink_schema(tmp_path_factory):
    """The operator's schema of a FlinkDeployment, out of its published artifact."""
    maven = shutil.which("mvn")
    if maven is None:
        pytest.skip("no Maven here, by which the operator's schema is had")
    folder = tmp_path_factory.mktemp("operator")
    command = [maven, "--batch-mode", "--quiet", "dependency:copy", f"-Dartifact={OPERATOR}"]
    (folder / "pom.xml").write_text(
        '<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>'
        "<groupId>t</groupId><artifactId>t</artifactId><version>1</version></project>"
    )
    ended = subprocess.run(
        [*command, "-DoutputDirectory=."], cwd=folder, capture_output=True, text=True, timeout=300
    )
    jars = list(folder.glob("*.jar"))
    if not jars:
        pytest.skip(f"{OPERATOR} is not reached: {ended.stdout[-300:]}")
    with zipfile.ZipFile(jars[0]) as jar:
        definition = yaml.load(
            jar.read("META-INF/fabric8/flinkdeployments.flink.apache.org-v1.yml"),
            Loader=yaml.CSafeLoader,
        )
    (version,) = (v for v in definition["spec"]["versions"] if v["name"] == "v1beta1")
    return strict(version["schema"]["openAPIV3Schema"])


def test_the_flink_operator_takes_its_own(flink_schema):
    manifest = named("FlinkDeployment", "ghsl-beam")
    del manifest["apiVersion"], manifest["kind"], manifest["metadata"]
    jsonschema.Draft202012Validator(flink_schema).validate(manifest)
    pod = manifest["spec"]["taskManager"]["podTemplate"]["spec"]
    pod["initContainers"][0]["restartPolice"] = "Always"
    with pytest.raises(jsonschema.ValidationError, match="restartPolice"):
        jsonschema.Draft202012Validator(flink_schema).validate(manifest)


def test_every_container_is_held_to_what_it_needs():
    for spec in pod_specs():
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in [*spec["containers"], *spec.get("initContainers", [])]:
            context = container["securityContext"]
            assert context["allowPrivilegeEscalation"] is False
            assert context["capabilities"] == {"drop": ["ALL"]}
            assert ":" in container["image"]
            assert not container["image"].endswith(":latest")
            if container["name"] == "flink-main-container":
                continue  # its memory is the operator's, and its start script writes its settings
            assert context["readOnlyRootFilesystem"] is True
            assert container["resources"]["limits"]["memory"]
            assert any(m["name"].endswith("tmp") for m in container["volumeMounts"]), "no room"


def test_the_pool_is_up_before_its_taskmanager():
    (pool,) = next(pod_specs())["initContainers"]
    assert (pool["args"], pool["restartPolicy"]) == (["--worker_pool"], "Always")
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        command = pool[probe]["exec"]["command"]
        assert command == ["python", "-m", "ghsl_beam.runners.container_health"]
    open_ports = {
        port["port"]
        for rule in named("NetworkPolicy", "ghsl-beam-taskmanagers")["spec"]["ingress"]
        for port in rule["ports"]
    }
    settings = named("FlinkDeployment", "ghsl-beam")["spec"]["flinkConfiguration"]
    assert open_ports == {int(value) for key, value in settings.items() if key.endswith(".port")}


def test_task_managers_have_the_network_memory_that_the_job_needs():
    settings = named("FlinkDeployment", "ghsl-beam")["spec"]["flinkConfiguration"]
    assert {key: str(settings[key]) for key in NETWORK_MEMORY} == NETWORK_MEMORY


def test_names_agree_across_the_manifests():
    job = named("CronJob", "ghsl-beam-monthly")["spec"]["jobTemplate"]["spec"]
    (launcher,) = job["template"]["spec"]["containers"]
    server = named("Deployment", "ghsl-beam-jobserver")["spec"]["template"]
    service = named("Service", "ghsl-beam-jobserver")
    assert f"--job_endpoint={service['metadata']['name']}:8099" in launcher["args"]
    assert service["spec"]["selector"] == server["metadata"]["labels"]
    (server_container,) = server["spec"]["containers"]
    ports = {port["name"]: port["containerPort"] for port in server_container["ports"]}
    assert ports == {"artifacts": 8098, "jobs": 8099}
    policy = named("NetworkPolicy", "ghsl-beam-jobserver")["spec"]
    (allowed,) = policy["ingress"]
    assert allowed["from"][0]["podSelector"]["matchLabels"] == job["template"]["metadata"]["labels"]
    assert policy["podSelector"]["matchLabels"] == server["metadata"]["labels"]
    image = server_container["image"]
    assert f"apache-beam=={image.rpartition(':')[2]}\n" in (ROOT / "constraints.txt").read_text()
    (pool,) = next(pod_specs())["initContainers"]
    assert launcher["image"] == pool["image"]


def test_the_launcher_s_options_are_taken():
    job = named("CronJob", "ghsl-beam-monthly")["spec"]["jobTemplate"]["spec"]
    (launcher,) = job["template"]["spec"]["containers"]
    assert taken(launcher["args"]) == ("run", "/jobs/monthly.yaml")


def test_a_wrong_request_is_not_tried_again():
    job = named("CronJob", "ghsl-beam-monthly")["spec"]["jobTemplate"]["spec"]
    rule = job["podFailurePolicy"]["rules"][0]
    assert (rule["action"], rule["onExitCodes"]["values"]) == ("FailJob", [2])
    assert job["template"]["spec"]["restartPolicy"] == "Never"
