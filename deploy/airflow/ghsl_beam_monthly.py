"""A monthly launch with Airflow 3.2 or later, in a pod of the image. See docs/schedule.md."""

from datetime import datetime, timedelta

from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from airflow.sdk import DAG, CronTriggerTimetable
from kubernetes.client import models as k8s

with DAG(
    dag_id="ghsl_beam_monthly",
    description="Settlement layers of the month before",
    # The fifth: then the archive has the last scenes of the month.
    schedule=CronTriggerTimetable("0 3 5 * *", timezone="UTC"),
    start_date=datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,
    default_args={
        # A launch makes only what is missing, so a retry costs little.
        "retries": 2,
        "retry_delay": timedelta(minutes=30),
        "execution_timeout": timedelta(days=2),
    },
):
    KubernetesPodOperator(
        task_id="launch",
        name="ghsl-beam-launcher",
        namespace="default",
        image="ghsl-beam:0.1.0",
        arguments=[
            "run",
            "/jobs/monthly.yaml",
            # The day of this run: a run of an old day makes the month before that day. A run that
            # is triggered by hand has no logical date.
            "--today={{ (dag_run.logical_date or dag_run.run_after) | ds }}",
            "--profile=flink",
            "--flink_master=ghsl-beam-rest:8081",
            "--job_endpoint=ghsl-beam-jobserver:8099",
            "--parallelism=8",
            "--log-json",
            "--quiet",
        ],
        labels={"app.kubernetes.io/name": "ghsl-beam-launcher"},
        env_from=[k8s.V1EnvFromSource(secret_ref=k8s.V1SecretEnvSource(name="ghsl-beam-s3"))],
        volumes=[
            k8s.V1Volume(
                name="jobs", config_map=k8s.V1ConfigMapVolumeSource(name="ghsl-beam-jobs")
            ),
            k8s.V1Volume(name="tmp", empty_dir=k8s.V1EmptyDirVolumeSource(size_limit="5Gi")),
        ],
        volume_mounts=[
            k8s.V1VolumeMount(name="jobs", mount_path="/jobs", read_only=True),
            k8s.V1VolumeMount(name="tmp", mount_path="/tmp"),  # noqa: S108 - in the container
        ],
        # The first pull of the image takes longer than the default of two minutes.
        startup_timeout_seconds=600,
        container_resources=k8s.V1ResourceRequirements(
            requests={"cpu": "500m", "memory": "2Gi"}, limits={"memory": "2Gi"}
        ),
        security_context=k8s.V1PodSecurityContext(
            run_as_non_root=True,
            run_as_user=10001,
            run_as_group=10001,
            seccomp_profile=k8s.V1SeccompProfile(type="RuntimeDefault"),
        ),
        container_security_context=k8s.V1SecurityContext(
            read_only_root_filesystem=True,
            allow_privilege_escalation=False,
            capabilities=k8s.V1Capabilities(drop=["ALL"]),
        ),
        automount_service_account_token=False,
        on_finish_action="delete_succeeded_pod",
    )
