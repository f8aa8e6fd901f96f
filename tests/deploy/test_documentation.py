"""The documentation builds without a warning, is readable offline, and describes every key."""

import json
import re
import subprocess
import sys
from datetime import date
from html.parser import HTMLParser

import pytest

from docs.generate.commands import commands
from docs.generate.reference import example_jobs, example_record, job_tables, record_tables
from ghsl_beam.jobfile.configuration import Job
from ghsl_beam.outputs.record_schema import RECORD
from tests.conftest import ROOT


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    build = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", folder],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert build.returncode == 0, build.stdout + build.stderr
    return folder


class Fetched(HTMLParser):
    """What a browser fetches when it shows a page."""

    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        if tag in ("script", "img", "iframe", "source"):
            self.found.append(given.get("src"))
        if tag == "link" and given.get("rel") not in ("canonical", "next", "prev"):
            self.found.append(given.get("href"))


def test_a_page_fetches_nothing_from_another_host(site):
    for style in site.rglob("*.css"):
        assert not re.search(r"""(url\(|@import)\s*["']?(https?:)?//""", style.read_text()), style
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > 30
    for page in pages:
        reader = Fetched()
        reader.feed(page.read_text())
        for place in filter(None, reader.found):
            assert not re.match(r"(https?:)?//", place), f"{page.name} fetches {place}"
            if page.name != "404.html" and not place.startswith("data:"):
                assert (page.parent / place.partition("?")[0]).exists(), f"{page.name}: {place}"


def test_formulas_are_shown_without_a_script(site):
    page = (site / "greenness.html").read_text()
    assert "<math" in page
    for page in site.rglob("*.html"):
        content = page.read_text()
        assert "arithmatex" not in content, page
        assert not re.search(r"<m[a-z]+>\\[a-z]", content), f"{page.name}: an unknown word of LaTeX"


def test_every_command_has_its_help_in_the_reference(site):
    page = (site / "reference" / "commands.html").read_text()
    assert all(f"ghsl-beam {' '.join(words)}" in page for words in commands())


@pytest.mark.parametrize("tables", [job_tables, record_tables])
def test_every_key_has_a_type_a_meaning_and_an_example(tables):
    keys = [key for table in tables() for key in table.keys]
    assert len(keys) > 50
    assert [key.path for key in keys if not key.meaning or "any value" in key.types] == []
    assert [key.path for key in keys if not key.sections and not key.example] == []


def test_the_reference_names_what_the_schema_says():
    keys = {key.path: key for table in job_tables() for key in table.keys}
    percentile = keys["composite.percentile"]
    assert (percentile.default, percentile.bounds) == ("30", "at least 0, at most 100")
    assert keys["period"].types == "text or whole number or section"
    assert keys["input.api.l1c.red"].example == '"B04"'
    assert keys["input.api.tiles"].meaning.startswith("number of tiles in one search")


@pytest.mark.parametrize("content", example_jobs(), ids=lambda content: content["name"])
def test_the_examples_of_the_job_file_are_jobs(content):
    assert Job.model_validate(content, context={"today": date(2026, 1, 5)})


def test_the_example_of_the_record_is_a_record():
    assert RECORD.validate_json(json.dumps(example_record()))
