"""Checks a machine, and whether a job can run on it. It writes nothing, and shows no key."""

from __future__ import annotations

import importlib
import os
import platform
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from transforms.elements import GhslBeamError, package_version


class State(StrEnum):
    """The result of a check."""

    OK = "ok"
    WARNING = "warning"
    FAULT = "fault"


@dataclass(frozen=True)
class Check:
    """The result of a check: what was looked at, what was found, and what to do."""

    state: State
    what: str
    found: str


OLDEST, BEFORE = (3, 11), (3, 14)
"""The versions of Python that setup.py allows."""
_NATIVE = {
    "numpy": "numpy",
    "scipy": "scipy",
    "sklearn": "scikit-learn",
    "rasterio": "rasterio",
    "pyogrio": "pyogrio",
    "pyproj": "pyproj",
    "shapely": "shapely",
    "h5py": "h5py",
    "llvmlite": "llvmlite",
    "onnxruntime": "onnxruntime",
    "pyarrow": "pyarrow",
    "grpc": "grpcio",
    "apache_beam": "apache-beam",
}
"""Modules with native libraries that each job loads, and their packages."""
_INSTALL = "install the packages again: ./run_local.sh install"
_LIBRARIES = {
    "libexpat.so.1": "libexpat is missing: apt-get install libexpat1 (Debian, Ubuntu), "
    "dnf install expat (Fedora), brew install expat (macOS)",
}
"""System libraries that wheels need, and how to get them."""
_MEMORY, _LITTLE_MEMORY = 1.5e9, 3e9
_DISK, _LITTLE_DISK = 1e9, 10e9
_WAIT = 10.0


def check_machine() -> Iterator[Check]:
    """The checks that need no job."""
    yield _python(sys.version_info[:2])
    yield _packages(_load)
    yield _gpu()
    yield from _jpeg2000()
    yield _memory()
    yield _disk("temporary files", Path(tempfile.gettempdir()))
    yield _java()


def _load(module: str) -> None:
    importlib.import_module(module)


def _python(version: tuple[int, ...]) -> Check:
    given = f"{platform.python_version()} at {sys.executable}"
    if OLDEST <= version < BEFORE:
        return Check(State.OK, "python", given)
    allowed = ", ".join(f"3.{minor}" for minor in range(OLDEST[1], BEFORE[1]))
    return Check(State.FAULT, "python", f"{given}, expected one of {allowed}")


def _packages(load: Callable[[str], None]) -> Check:
    """Import each package with native libraries; a library that lacks shows only there."""
    broken = []
    for module, package in _NATIVE.items():
        try:
            load(module)
        except (ImportError, OSError) as error:
            text = " ".join(str(error).split())
            remedy = next((r for name, r in _LIBRARIES.items() if name in text), _INSTALL)
            broken.append(f"{package}: {text[:200]}; {remedy}")
    if broken:
        return Check(State.FAULT, "packages", "; ".join(broken))
    return Check(State.OK, "packages", f"{len(_NATIVE)} packages with native libraries load")


def _gpu() -> Check:
    if find_spec("tensorflow") is None:
        return Check(
            State.WARNING,
            "tensorflow",
            "not installed; only training a network and GPUs need it: pip install tensorflow",
        )
    version = package_version("tensorflow")
    return Check(State.OK, "tensorflow", f"{version}; only training a network and GPUs load it")


def _jpeg2000() -> Iterator[Check]:
    try:
        from transforms.assembly.decoders import OPENJPEG, available
    except (ImportError, OSError):  # `_packages` says it
        return
    found = ", ".join(sorted(available()))
    if OPENJPEG in available():
        yield Check(State.OK, "JPEG 2000", f"GDAL decodes it with {found}")
        return
    yield Check(
        State.FAULT,
        "JPEG 2000",
        f"GDAL has no driver {OPENJPEG} (it has {found or 'none'}); use rasterio from the Python "
        f"package index: pip install --force-reinstall --no-deps rasterio",
    )


def _memory() -> Check:
    import psutil

    free = psutil.virtual_memory().available
    text = f"{free / 1e9:.1f} GB available, a worker needs about 1 GB"
    if free < _MEMORY:
        return Check(State.FAULT, "memory", f"{text}: end other programs, or use a larger machine")
    if free < _LITTLE_MEMORY:
        return Check(State.WARNING, "memory", f"{text}: use one worker")
    return Check(State.OK, "memory", text)


def _disk(what: str, folder: Path) -> Check:
    """The free space under a folder, or under the nearest folder above it that exists."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    try:
        free = shutil.disk_usage(folder).free
    except OSError as error:
        return Check(State.FAULT, what, f"{folder}: {error.strerror}; name another folder")
    text = f"{free / 1e9:.1f} GB free at {folder}"
    if not os.access(folder, os.W_OK):
        return Check(State.FAULT, what, f"{folder} is not writable; name another folder")
    if free < _DISK:
        return Check(State.FAULT, what, f"{text}, expected at least 1 GB: remove files there")
    if free < _LITTLE_DISK:
        return Check(State.WARNING, what, f"{text}: `ghsl-beam plan` says what a job needs")
    return Check(State.OK, what, text)


def _java() -> Check:
    java = shutil.which("java")
    if java is None:
        return Check(
            State.OK,
            "java",
            "not here, and not needed on one machine; for --profile flink or spark install Java 17",
        )
    try:
        done = subprocess.run(  # noqa: S603 - the java that Beam itself would start
            [java, "-version"], capture_output=True, text=True, timeout=_WAIT, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return Check(State.WARNING, "java", f"{java} does not start: {error}")
    lines = (done.stderr or done.stdout).splitlines() or ["?"]
    return Check(State.OK, "java", f"{lines[0]}; only clusters of Flink and Spark need it")


def reach(url: str) -> str:
    """Why the host of a URL, or the proxy before it, does not answer; empty if it does."""
    parts = urlsplit(url)
    proxy = getproxies().get(parts.scheme)
    if proxy and not proxy_bypass(parts.hostname or ""):
        parts = urlsplit(proxy)
    try:
        with socket.create_connection(
            (parts.hostname or "", parts.port or (80 if parts.scheme == "http" else 443)), _WAIT
        ):
            return ""
    except OSError as error:
        return error.strerror or str(error)


def as_check(what: str, good: str, attempt: Callable[[], None]) -> Check:
    """A check that is ok, unless the attempt raises an error of this program."""
    try:
        attempt()
    except GhslBeamError as error:
        return Check(State.FAULT, what, str(error))
    return Check(State.OK, what, good)
