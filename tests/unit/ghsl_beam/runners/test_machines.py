"""How many machines share the limits of a storage service."""

import pytest

from ghsl_beam.runners.beam_options import parsed
from ghsl_beam.runners.machines import machines
from ghsl_beam.runners.profiles import arguments
from transforms.elements import RequestError


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], 1),
        (["--direct_running_mode=multi_processing", "--direct_num_workers=8"], 1),
        (arguments("local", []), 1),
        (arguments("flink", []), 2),
        (arguments("flink", ["--parallelism=8"]), 8),
        (arguments("flink", ["--parallelism=8", "--worker_machines=4"]), 4),
        (arguments("flink", ["--environment_type=LOOPBACK"]), 1),
        (arguments("flink", ["--environment_type=DOCKER", "--sdk_worker_parallelism=3"]), 6),
        (arguments("flink", ["--environment_type=DOCKER", "--sdk_worker_parallelism=0"]), None),
        (arguments("spark", []), None),
        (arguments("spark", ["--worker_machines=2"]), 2),
        (["--runner=FlinkRunner"], None),
    ],
)
def test_machines(options, expected):
    assert machines(parsed(options)) == expected


@pytest.mark.parametrize("given", ["0", "-1", "two"])
def test_a_wrong_number(given):
    with pytest.raises(RequestError, match="expected a whole number of machines"):
        parsed([f"--worker_machines={given}"])
