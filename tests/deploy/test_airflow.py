"""The Airflow example: it launches what the CronJob launches, and Airflow takes it."""

import ast
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import jinja2
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
DAG = ROOT / "deploy" / "airflow" / "ghsl_beam_monthly.py"


def cron_job():
    return yaml.safe_load((ROOT / "deploy/kubernetes/monthly.yaml").read_text())["spec"]


@pytest.fixture(scope="module")
def calls():
    """Keyword arguments of every call in the file, by the name that is called; literals alone."""
    found = {}
    for node in ast.walk(ast.parse(DAG.read_text())):
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id
            values = found.setdefault(name, {})
            values[""] = [arg.value for arg in node.args if isinstance(arg, ast.Constant)]
            for keyword in node.keywords:
                try:
                    values[keyword.arg] = ast.literal_eval(keyword.value)
                except ValueError:
                    continue
    return found


def test_it_launches_what_the_cron_job_launches(calls):
    spec = cron_job()
    (container,) = spec["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    launch = calls["KubernetesPodOperator"]
    assert [a for a in launch["arguments"] if not a.startswith("--today=")] == container["args"]
    assert launch["image"] == container["image"]
    assert launch["labels"] == spec["jobTemplate"]["spec"]["template"]["metadata"]["labels"]
    assert calls["V1SecretEnvSource"]["name"] == container["envFrom"][0]["secretRef"]["name"]
    assert calls["CronTriggerTimetable"] == {"": [spec["schedule"]], "timezone": "UTC"}
    assert (calls["DAG"]["max_active_runs"], calls["DAG"]["catchup"]) == (1, False)


OLD, NOW = datetime(2026, 1, 5, 3, tzinfo=UTC), datetime(2026, 3, 9, 14, tzinfo=UTC)
RUNS = {
    "scheduled": (SimpleNamespace(logical_date=OLD, run_after=OLD), "2026-01-05"),
    "cleared": (SimpleNamespace(logical_date=OLD, run_after=NOW), "2026-01-05"),
    "triggered by hand": (SimpleNamespace(logical_date=None, run_after=NOW), "2026-03-09"),
}


@pytest.mark.parametrize(("dag_run", "day"), RUNS.values(), ids=RUNS)
def test_a_run_makes_the_month_of_its_own_day(calls, dag_run, day):
    """A run triggered by hand has no logical date, and so none of the names made of it (`ds`)."""
    engine = jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=True)
    engine.filters["ds"] = "{:%Y-%m-%d}".format
    (template,) = (
        a for a in calls["KubernetesPodOperator"]["arguments"] if a.startswith("--today=")
    )
    assert engine.from_string(template).render(dag_run=dag_run) == f"--today={day}"


def test_a_first_pull_of_the_image_has_its_time(calls):
    assert calls["KubernetesPodOperator"]["startup_timeout_seconds"] >= 600


def test_airflow_takes_it(tmp_path, monkeypatch):
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path))
    reason = "Airflow and its provider cncf.kubernetes are not installed"
    pytest.importorskip("airflow.providers.cncf.kubernetes", reason=reason)
    from airflow.dag_processing.dagbag import DagBag
    from airflow.providers.cncf.kubernetes.hooks.kubernetes import KubernetesHook
    from kubernetes.client import ApiClient
    from kubernetes_validate import validate

    bag = DagBag(DAG)
    assert bag.import_errors == {}
    task = bag.dags["ghsl_beam_monthly"].get_task("launch")
    assert task.execution_timeout == timedelta(days=2)
    for dag_run, day in RUNS.values():
        rendered = task.render_template(task.arguments, {"dag_run": dag_run})
        assert f"--today={day}" in rendered
    monkeypatch.setattr(KubernetesHook, "is_in_cluster", True)
    pod = ApiClient().sanitize_for_serialization(task.build_pod_request_obj())
    validate(pod, "1.32", strict=True)
    (container,) = pod["spec"]["containers"]
    assert container["args"] == task.arguments
    assert pod["spec"]["securityContext"]["runAsUser"] == 10001
