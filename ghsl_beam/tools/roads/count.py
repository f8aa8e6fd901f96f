"""Counts the lines that a query finds in a file, in a separate process.

GDAL reads the whole file to count. During this time no other Python code runs in the process, so
nothing can stop the count. A separate process can be stopped, and it uses a second processor.

The process runs this file as a program. So this file imports nothing from the package.
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
    """The number in the first row of a query in OGR's SQL.

    Raises:
        Exception: an error of pyogrio, if the file cannot be read to its end.
    """
    found = pyogrio.raw.read(path, sql=query, sql_dialect="OGRSQL", read_geometry=False, **options)
    return int(found[3][0][0])


@contextmanager
def counted_aside(
    path: str, query: str, options: Mapping[str, str], temporary: str
) -> Iterator[Callable[[], int]]:
    """Count in a separate process, which ends with the context.

    Args:
        path: local file.
        query: a query in OGR's SQL.
        options: options of the driver.
        temporary: folder for GDAL's temporary files.

    Yields:
        A function that waits for the number. It raises a ValueError with GDAL's text if the file
        cannot be read.
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
    except Exception as error:  # noqa: BLE001 - the other process reports it
        found = str(error)
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    _main(*sys.argv[1:])
