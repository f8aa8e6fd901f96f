"""What a job file holds is masked as YAML reads it, not only as it is written."""

import pytest

from ghsl_beam.jobfile.plain_yaml import parse_yaml
from transforms.elements import RequestError
from transforms.storage.redaction import MASK, redact

SECRET = "K7MDENGbPxRfi"  # noqa: S105 - planted


@pytest.mark.parametrize(
    "text",
    [
        rf'output: "https://bob:p\u0040{SECRET}@host/b"',
        rf'output: "https:\u002f\u002fbob:{SECRET}\u0040host"',
        f"output: >-\n  https://bob:ab\n  {SECRET}@host/b",
        f"storage:\n  password: {SECRET}",
        rf'storage: {{"pass\u0077ord": "ab {SECRET}"}}',
        f"models: ['https://host/b?X-Amz-Security-Token={SECRET}']",
    ],
)
def test_a_credential_is_known_as_yaml_reads_it(text):
    parse_yaml(text, "job.yaml")
    assert redact(f"cannot reach {SECRET}@h") == f"cannot reach {MASK}@h"


def test_so_it_is_where_the_text_is_refused():
    text = f'a: "https://bob:p\\u0040{SECRET}@host"\na: 1'
    with pytest.raises(RequestError):
        parse_yaml(text, "job.yaml")
    assert SECRET not in redact(f"no host {SECRET}")


def test_what_says_nothing_is_not_masked():
    parse_yaml("token: true\npassword: null\nname: havelland", "job.yaml")
    assert redact("true, null: havelland") == "true, null: havelland"
