"""Profiles: named sets of Beam options."""

import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.flink_runner import FlinkJarJobServer
from apache_beam.runners.portability.spark_runner import SparkJarJobServer

from ghsl_beam.runners import profiles
from transforms.elements import RequestError


def beam_options(arguments):
    return PipelineOptions(arguments).get_all_options()


@pytest.mark.parametrize("name", ["flink", "local", "spark"])
def test_those_of_the_package_hold_options_of_beam(name):
    assert name in profiles.names()
    known = beam_options([])
    found = beam_options(profiles.arguments(name, []))
    for option, value in profiles.options(name).items():
        assert option in known
        assert found[option] == value or str(found[option]) == str(value)


def test_the_command_line_wins():
    given = ["--parallelism=7", "--environment_config=other:1", "--experiments=mine"]
    found = beam_options(profiles.arguments("flink", given))
    assert (found["parallelism"], found["environment_config"]) == (7, "other:1")
    assert found["experiments"] == ["mine"]
    assert found["runner"] == "FlinkRunner"


def test_an_option_s_other_spelling_wins_too():
    found = beam_options(profiles.arguments("flink", ["--experiment=mine"]))
    assert found["experiments"] == ["mine"]


@pytest.mark.parametrize(
    ("name", "job_server", "given"),
    [
        ("flink", FlinkJarJobServer, ["-Xmx1g"]),
        ("spark", SparkJarJobServer, ["-Xmx1g", "-Dspark.executor.memory=1g"]),
    ],
)
def test_the_job_server_that_beam_starts_has_its_memory_and_its_folder(
    tmp_path, name, job_server, given
):
    jar = tmp_path / "job-server.jar"
    jar.touch()
    more = [f"--{name}_job_server_jar={jar}", "--artifacts_dir=/artifacts"]
    options = PipelineOptions(profiles.arguments(name, more))
    command, _ = job_server(options).subprocess_cmd_and_endpoint()
    assert command[: len(given) + 1] == ["java", *given]
    assert command.index("-jar") > len(given), "to Java, not to the job server"
    assert command[command.index("--artifacts-dir") + 1] == "/artifacts"


def test_other_memory_for_the_job_server():
    arguments = profiles.arguments("spark", ["--job_server_jvm_property=-Xmx4g"])
    assert beam_options(arguments)["job_server_jvm_properties"] == ["-Xmx4g"]


def test_another_environment_replaces_the_whole_of_it():
    found = beam_options(profiles.arguments("flink", ["--environment_type=LOOPBACK"]))
    assert (found["environment_type"], found["environment_config"]) == ("LOOPBACK", None)


def test_a_file_of_ones_own(tmp_path):
    file = tmp_path / "own.yaml"
    file.write_text(
        "runner: FlinkRunner\nflink_submit_uber_jar: true\nstreaming: false\n"
        "environment_type: null\nexperiments: [one, two]\nparallelism: 3\n"
    )
    assert profiles.arguments(str(file), ["--x=1"]) == [
        "--runner=FlinkRunner",
        "--flink_submit_uber_jar",
        "--experiments=one",
        "--experiments=two",
        "--parallelism=3",
        "--x=1",
    ]


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("- a\n- b\n", "expected a mapping"),
        ("'--runner': x\n", "'--runner': expected the name of a Beam option"),
        ("runner: {a: b}\n", "runner: expected a text"),
        ("experiments: [[a]]\n", "experiments: expected a text"),
        ("runner: [\n", "not valid YAML"),
        ("a: &x 1\nb: *x\n", "aliases"),
        (
            "flink_version: 1.20\n",
            r"flink_version has a number without quotes \(1.2\): write it in quotes",
        ),
    ],
)
def test_a_file_that_is_no_profile(tmp_path, text, named):
    file = tmp_path / "own.yaml"
    file.write_text(text)
    with pytest.raises(RequestError, match=named.replace("[", r"\[")) as raised:
        profiles.arguments(str(file), [])
    assert "own.yaml" in str(raised.value)


def test_no_such_profile():
    with pytest.raises(RequestError, match="expected one of flink, local, spark, or a file"):
        profiles.arguments("dataflow", [])
