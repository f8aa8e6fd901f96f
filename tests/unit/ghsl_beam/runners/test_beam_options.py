"""Beam's options as a person may write them; what is wrong with them is one line."""

import pytest
from apache_beam.options.pipeline_options import StandardOptions

from ghsl_beam.runners.beam_options import (
    ClusterOptions,
    is_known,
    option_name,
    parsed,
    runner_name,
)
from transforms.elements import RequestError


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("FlinkRunner", "FlinkRunner"),
        ("flinkrunner", "FlinkRunner"),
        ("flink", "FlinkRunner"),
        ("apache_beam.runners.portability.flink_runner.FlinkRunner", "FlinkRunner"),
        ("SPARKRUNNER", "SparkRunner"),
        ("directrunner", "DirectRunner"),
        ("PrismRunner", "PrismRunner"),
        ("my.own.FlinkRunner", "my.own.FlinkRunner"),
    ],
)
def test_a_runner_has_one_name(given, name):
    assert runner_name(given) == name
    assert parsed([f"--runner={given}"]).view_as(StandardOptions).runner == name


def test_without_a_runner_it_is_the_direct_one():
    assert parsed([]).view_as(StandardOptions).runner == "DirectRunner"


@pytest.mark.parametrize(
    ("argument", "name"),
    [
        ("--experiment=x", "experiments"),
        ("--experiments=x", "experiments"),
        ("--environment_option=a=b", "environment_options"),
        ("--extra_package=x.tar.gz", "extra_packages"),
        ("--no_pipeline_type_check", "pipeline_type_check"),
        ("--job_endpoint=x:1", "job_endpoint"),
    ],
)
def test_what_beam_keeps_under_another_name(argument, name):
    assert is_known(argument)
    assert option_name(argument) == name


def test_what_beam_does_not_know_is_kept_for_the_job_server():
    assert not is_known("--no_such_thing=1")
    assert option_name("--no_such_thing=1") == "no_such_thing"
    parsed(["--no_such_thing=1", "--nor_this", "value"])


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["-parallelism=4"], "-parallelism=4 is not an option"),
        (["other.yaml"], "other.yaml is not an option"),
        (["--parallelism=4", "other.yaml"], "other.yaml is not an option"),
        (["--streaming", "other.yaml"], "other.yaml is not an option"),
        (["--parallelism", "4", "other.yaml"], "other.yaml is not an option"),
        (
            ["--parallelism=abc"],
            "options of Beam: argument --parallelism: invalid int value: 'abc'",
        ),
        (["--flink_version=1.2"], "options of Beam: argument --flink_version: invalid choice"),
    ],
)
def test_what_is_refused_in_one_line(arguments, named, capsys):
    with pytest.raises(RequestError) as refused:
        parsed(arguments)
    assert str(refused.value).startswith(named)
    assert "\n" not in str(refused.value)
    assert capsys.readouterr() == ("", "")


def test_values_may_stand_by_themselves():
    options = parsed(["--parallelism", "4", "--streaming", "--experiments", "a"])
    assert options.get_all_options()["parallelism"] == 4


@pytest.mark.parametrize("value", ["soon", "-1", "1.5", ""])
def test_a_time_limit_is_a_whole_number_of_seconds(value):
    with pytest.raises(RequestError, match=r"--worker_start_timeout: .*whole number of seconds"):
        parsed([f"--worker_start_timeout={value}"])


def test_a_time_limit_may_be_given():
    assert parsed([]).view_as(ClusterOptions).worker_start_timeout == 600
    assert is_known("--worker_start_timeout=1")
    given = parsed(["--worker_start_timeout", "0"])
    assert given.view_as(ClusterOptions).worker_start_timeout == 0
