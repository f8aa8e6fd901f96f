"""The pages of the reference, as Markdown: the job file and run.json, from their schemas."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from docs.generate.schema_tables import Key, Table, tables
from ghsl_beam.jobfile.configuration import schema
from ghsl_beam.outputs.record_schema import record_schema

EXAMPLES = Path(__file__).with_name("examples")


def example_jobs() -> list[dict[str, Any]]:
    """Whole job files that have every key without a telling default."""
    return list(yaml.safe_load_all((EXAMPLES / "job.yaml").read_text(encoding="utf-8")))


def example_record() -> dict[str, Any]:
    """A whole run.json with an entry in each of its lists."""
    record: dict[str, Any] = json.loads((EXAMPLES / "run.json").read_text(encoding="utf-8"))
    return record


def job_tables() -> list[Table]:
    """The sections of the job file."""
    return tables(schema(), example_jobs())


def record_tables() -> list[Table]:
    """The sections of run.json."""
    return tables(record_schema(), [example_record()])


def job_file_page() -> str:
    """The page of the job file."""
    return "\n".join(
        (
            "# Job file",
            "",
            "This page is made from the schema of the program, which `ghsl-beam schema` prints. "
            "A job file is YAML. It is checked completely before anything starts; a mistake is "
            "one line that names the key, what was given, and what is allowed. `--set key.path="
            "value` replaces a key for one run.",
            "",
            "`[]` is an entry of a list, and `NAME` a name that you choose. A relative path counts "
            "from the folder of the job file.",
            *(line for table in job_tables() for line in _section(table, "a job file")),
        )
    )


def record_page() -> str:
    """The page of run.json."""
    whole = json.dumps(example_record(), indent=1, ensure_ascii=False)
    return "\n".join(
        (
            "# run.json",
            "",
            "This page is made from the [schema of run.json](../run-record.schema.json). "
            "[Operation](../operation.md) says when the record is written. Every key is always "
            "there.",
            "",
            "`[]` is an entry of a list.",
            *(line for table in record_tables() for line in _section(table, "run.json")),
            "",
            "## A whole record",
            "",
            "The record is made up: it has an entry in each list.",
            "",
            "```json",
            whole,
            "```",
        )
    )


def _section(table: Table, top: str) -> Iterable[str]:
    paths = [path for path in table.path.split(", ") if path]
    title = " and ".join(f"`{path}`" for path in paths) or f"Keys of {top}"
    yield ""
    if len(paths) > 1:  # each place of the section has an anchor
        yield from (*(f'<a id="{_anchor(path)}"></a>' for path in paths), "")
    yield from (f"## {title} {{ #{_anchor(table.path)} }}", "")
    if table.meaning and paths:
        yield from (_sentence(table.meaning), "")
    for key in table.keys:
        yield from _entry(key, table.path, optional=top != "run.json")


def _entry(key: Key, section: str, *, optional: bool) -> Iterable[str]:
    """A key: its name, its meaning, and one line for each other property."""
    shown = ", ".join(
        f"`{path}{key.path.removeprefix(section.split(', ')[0])}`" for path in section.split(", ")
    )
    yield from (f"### {shown}", "", _sentence(key.meaning), "")
    yield f"- type: {key.types}"
    if key.bounds:
        yield f"- range: {key.bounds}"
    if key.required and optional:
        yield "- must be given"
    elif key.default:
        yield f"- default: `{key.default}`"
    if key.example and key.example != key.default:
        yield f"- example: `{key.example}`"
    for path in key.sections:
        yield f"- keys: [`{path}`](#{_anchor(path)})"
    yield ""


def _anchor(path: str) -> str:
    """The anchor of a section."""
    return re.sub(r"[^a-z0-9]+", "-", f"keys-{path.lower()}").strip("-")


def _sentence(text: str) -> str:
    """A description as a sentence; one that begins with a value, `owned: …`, stays as it is."""
    plain = " ".join(text.split()).replace("<", "&lt;")
    if not plain.split(" ")[0].endswith(":"):
        plain = plain[:1].upper() + plain[1:]
    return plain if plain.endswith(".") else f"{plain}."
