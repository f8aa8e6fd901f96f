"""Job files that are wrong: one line that names the key, nothing written."""

import pytest
import yaml

from ghsl_beam.configuration import load_job
from tests.pipeline.faults.table import fault
from transforms.elements import RequestError

REFUSED = "one line that names the key, what was given and what is allowed; nothing written; 2"


def unknown_key(content):
    content["greeness"] = {"radius_m": 30}
    return yaml.safe_dump(content)


def wrong_type(content):
    content["block_size"] = "large"
    return yaml.safe_dump(content)


def yaml_bomb(content):
    bomb = "a0: &a0 [x, x]\n" + "".join(f"a{i + 1}: &a{i + 1} [*a{i}, *a{i}]\n" for i in range(30))
    return bomb + yaml.safe_dump(content)


def python_tag(content):
    return yaml.safe_dump(content) + "more: !!python/object/apply:os.system ['true']\n"


def path_outside(content):
    content["name"] = "../../town"
    return yaml.safe_dump(content)


SPOILED = {
    "unknown key": (unknown_key, "did you mean greenness?"),
    "wrong type": (wrong_type, "block_size"),
    "YAML bomb": (yaml_bomb, "aliases"),
    "YAML that builds objects": (python_tag, "not valid YAML"),
    "path outside (in a name)": (path_outside, "../../town"),
}
for name in SPOILED:
    fault("configuration", name, REFUSED)


@pytest.mark.parametrize("name", SPOILED)
def test_a_wrong_job_file(job, tmp_path, name):
    spoil, said = SPOILED[name]
    job.file.write_text(spoil(job.content()))
    with pytest.raises(RequestError) as refused:
        load_job(job.file)
    line = str(refused.value)
    assert said in line
    assert "\n" not in line
    assert len(line) < 400
    assert not (tmp_path / "output").exists()
