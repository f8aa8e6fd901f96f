"""Counts the requests of a job whose archive and output are on object storage, by kind.

An S3 service on the loopback answers, behind a proxy that counts. The job has one scene of one
tile, first in four blocks of 512 px and then in sixteen of 256 px. The difference of the two runs
gives the requests of each further block.

    python benchmarks/object_requests.py
"""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path

from synthetic import synthetic_job

from ghsl_beam.jobfile.configuration import load_job
from ghsl_beam.running.launch import run
from tests.support.object_storage import Front, make_bucket, put_folder, s3_service, using

SIDE = 1024
BLOCK_SIZES = {4: 512, 16: 256}


def kind(request: str) -> str:
    """Method and place of a request: `GET archive`, `PUT work`."""
    method, path = request.split(" ", 1)
    if "list-type" in path:
        return "LIST"
    place = next((name for name in ("archive", "work") if f"/{name}/" in path), "output")
    return f"{method} {place}"


def main() -> None:
    """Run both jobs; print the requests by kind, and those of each further block."""
    counts: dict[int, Counter[str]] = {}
    for blocks, size in BLOCK_SIZES.items():
        with tempfile.TemporaryDirectory() as folder, s3_service() as address:
            front = Front(address)
            job = synthetic_job(Path(folder), 1, SIDE)
            with using(front.address):
                bucket = make_bucket(f"scale-{blocks}")
                archive = put_folder(Path(folder, "archive"), f"{bucket}/archive")
                front.asked.clear()
                settings = (f"block_size={size}", f"input.archive={archive}", "input.access=direct")
                record = run(load_job(job, settings, f"{bucket}/out"))
        if record["exit_code"]:
            raise SystemExit(f"{job}: the run ended with {record['exit_code']}")
        counts[blocks] = Counter(map(kind, front.asked))
        print(f"{blocks} blocks: {dict(counts[blocks])}", flush=True)
    few, many = counts
    each = {name: (counts[many][name] - counts[few][name]) / (many - few) for name in counts[many]}
    print(
        "result: "
        + " ".join(f"{name.lower().replace(' ', '_')}={value:.1f}" for name, value in each.items())
    )


if __name__ == "__main__":
    main()
