"""Flink, Spark and Beam's job servers as jar files, from the package registries.

The files in `deploy/jobserver/<engine>` say what is downloaded: `requirements.txt` names the Python
package that contains the engine, `pom.xml` the job server with its dependencies.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache" / "cluster"
JAVA_RELEASES = (11, 17)
"""Releases of Java on which both engines run."""
_SECONDS = 900
"""Time limit of a download."""
_HOME = {"flink": "pyflink", "spark": "pyspark"}


class DistributionError(Exception):
    """A program is missing, or a package cannot be downloaded; one line."""


@dataclass(frozen=True)
class Distribution:
    """An engine and the job server for it.

    Attributes:
        home: folder of the engine's distribution.
        job_server: folder of the job server's jars.
        java: the Java to run them with.
    """

    home: Path
    job_server: Path
    java: str


def missing() -> str | None:
    """What this machine lacks to download and run the engines; None if it lacks nothing."""
    if _java() is None:
        return f"Java {' or '.join(map(str, JAVA_RELEASES))} is missing"
    return None if shutil.which("mvn") else "Maven (mvn) is missing"


def _java() -> str | None:
    """The first suitable Java: that of JAVA_HOME, of the path, then the installed ones."""
    home = os.environ.get("JAVA_HOME")
    candidates = [str(Path(home, "bin", "java"))] if home else []
    candidates += ["java", *map(str, sorted(Path("/usr/lib/jvm").glob("*/bin/java")))]
    for java in filter(shutil.which, candidates):
        answer = subprocess.run([java, "-version"], capture_output=True, text=True, check=False)
        release = re.search(r'version "(\d+)', answer.stderr)
        if release and int(release[1]) in JAVA_RELEASES:
            return str(shutil.which(java))
    return None


def fetch(engine: str) -> Distribution:
    """The distribution of `flink` or `spark`; it is downloaded if it is not in the cache.

    Raises:
        DistributionError: a program is missing, or a package cannot be downloaded.
    """
    lack = missing()
    java = _java()
    if lack or java is None:
        raise DistributionError(f"{engine}: {lack}")
    wanted = ROOT / "deploy" / "jobserver" / engine
    texts = [(wanted / name).read_bytes() for name in ("pom.xml", "requirements.txt")]
    target = CACHE / f"{engine}-{hashlib.sha256(b''.join(texts)).hexdigest()[:12]}"
    if not target.is_dir():
        CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{engine}-", dir=CACHE) as scratch:
            made = Path(scratch, "made")
            pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
            pip += ["--disable-pip-version-check", "--target", str(made / "python")]
            _run([*pip, "-r", str(wanted / "requirements.txt")])
            maven = ["mvn", "--quiet", "--batch-mode", "-f", str(wanted / "pom.xml")]
            maven += ["dependency:copy-dependencies", "-DincludeScope=runtime"]
            _run([*maven, f"-DoutputDirectory={made / 'job_server'}"])
            _drop_known(made / "job_server", made / "python" / _HOME[engine] / "jars")
            try:
                os.replace(made, target)
            except OSError:
                if not target.is_dir():  # another program has just downloaded it
                    raise
    return Distribution(target / "python" / _HOME[engine], target / "job_server", java)


def _drop_known(jars: Path, engine: Path) -> None:
    """Remove jars that Spark has too, except Guava, of which Beam needs a newer version.

    Flink keeps its own jars under other names, in `lib`, so none of them is removed.
    """
    known = {_artifact(jar) for jar in engine.glob("*.jar")} - {"guava"}
    for jar in jars.iterdir():
        if _artifact(jar) in known:
            jar.unlink()


def _artifact(jar: Path) -> str:
    return re.sub(r"-\d.*", "", jar.stem)


def _run(command: list[str]) -> None:
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired as error:
        raise DistributionError(f"{command[0]}: did not end within {_SECONDS} s") from error
    if done.returncode:
        output = (done.stdout + done.stderr).strip().splitlines() or ["it printed nothing"]
        errors = [line for line in output if "ERROR" in line]
        raise DistributionError(f"{command[0]}: {(errors or output)[0]}")
