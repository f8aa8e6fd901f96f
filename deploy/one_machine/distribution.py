"""Flink, Spark and Beam's job servers as jar files, from the package registries.

What is fetched is said in `deploy/jobserver/<engine>`: `requirements.txt` names the Python
package that carries the engine's distribution, `pom.xml` the job server with all it needs.
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
"""Releases of Java that both engines run on."""
_SECONDS = 900
"""What a program that fetches may take."""
_HOME = {"flink": "pyflink", "spark": "pyspark"}


class DistributionError(Exception):
    """A program or a package is not to be had; one line."""


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
    """What this machine lacks to fetch and run the engines, None where it lacks nothing."""
    if _java() is None:
        return f"no Java of release {' or '.join(map(str, JAVA_RELEASES))}"
    return None if shutil.which("mvn") else "no Maven (mvn)"


def _java() -> str | None:
    """The first Java of a fitting release: JAVA_HOME's, the path's, then those installed."""
    home = os.environ.get("JAVA_HOME")
    found = [str(Path(home, "bin", "java"))] if home else []
    found += ["java", *map(str, sorted(Path("/usr/lib/jvm").glob("*/bin/java")))]
    for java in filter(shutil.which, found):
        said = subprocess.run([java, "-version"], capture_output=True, text=True, check=False)
        release = re.search(r'version "(\d+)', said.stderr)
        if release and int(release[1]) in JAVA_RELEASES:
            return str(shutil.which(java))
    return None


def fetch(engine: str) -> Distribution:
    """The distribution of `flink` or `spark`, fetched when it is not in the cache.

    Raises:
        DistributionError: a program that is needed is absent, or a package cannot be fetched.
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
                if not target.is_dir():  # it is where another program fetched it meanwhile
                    raise
    return Distribution(target / "python" / _HOME[engine], target / "job_server", java)


def _drop_known(jars: Path, engine: Path) -> None:
    """Remove jars that Spark has too, but for Guava, of which Beam needs a newer one.

    Flink keeps what it uses under names of its own, in `lib`: nothing is the same there.
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
        said = (done.stdout + done.stderr).strip().splitlines() or ["it said nothing"]
        errors = [line for line in said if "ERROR" in line]
        raise DistributionError(f"{command[0]}: {(errors or said)[0]}")
