"""How many lines a query finds in a file, counted by a process of its own.

GDAL counts by reading the whole file, and lets nothing else run in its process meanwhile, so that
nobody could stop it. The process also takes the second of two processors.

The process runs this file as a program, which imports nothing of the package.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial

import pyogrio


def count(path: str, query: str, options: Mapping[str, str]) -> int:
    """The number that a query of OGR's SQL gives in its first row.

    Raises:
        Exception: any of pyogrio's, where the file cannot be read to its end.
    """
    found = pyogrio.raw.read(path, sql=query, sql_dialect="OGRSQL", read_geometry=False, **options)
    return int(found[3][0][0])


@contextmanager
def counted_aside(
    path: str, query: str, options: Mapping[str, str], temporary: str
) -> Iterator[Callable[[], int]]:
    """Count in a process of its own, which ends with the context.

    Args:
        path: local file.
        query: of OGR's SQL.
        options: for the driver.
        temporary: folder for GDAL's temporary files.

    Yields:
        Waits for the number; raises a ValueError with GDAL's text where the file cannot be read.
    """
    command = [sys.executable, "-P", __file__, path, query, json.dumps(dict(options))]
    with subprocess.Popen(  # noqa: S603 - this file, no shell
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "CPL_TMPDIR": temporary},
        text=True,
    ) as process:
        try:
            yield partial(_result, process)
        finally:
            process.kill()


def _result(process: subprocess.Popen[str]) -> int:
    text, _ = process.communicate()
    try:
        found = json.loads(text)
    except ValueError as error:
        raise ValueError(f"the process that counts ended with code {process.returncode}") from error
    if isinstance(found, int):
        return found
    raise ValueError(str(found))


def _main(path: str, query: str, options: str) -> None:
    found: int | str
    try:
        found = count(path, query, json.loads(options))
    except Exception as error:  # noqa: BLE001 - the other process says it
        found = str(error)
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    _main(*sys.argv[1:])
