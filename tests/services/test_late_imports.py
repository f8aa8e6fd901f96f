"""What training or a GPU alone needs is not loaded by a job, nor by a wrong request."""

import json
import subprocess
import sys

TRAINING = {"tensorflow", "keras", "sklearn", "skops", "lightgbm", "s2cloudless", "matplotlib"}
HEAVY = TRAINING | {"apache_beam", "scipy", "pandas", "pyarrow", "pystac", "onnxruntime", "h5py"}


def loaded(*modules):
    """The top-level modules that are loaded after the imports of these."""
    code = f"import json, sys, {', '.join(modules)}; print(json.dumps(list(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return {name.partition(".")[0] for name in json.loads(done.stdout.splitlines()[-1])}


def test_a_job_loads_nothing_of_training():
    names = loaded("ghsl_beam.running.launch", "ghsl_beam.estimating.plan_summary")
    assert "apache_beam" in names
    assert names & TRAINING == set()


def test_a_wrong_job_file_is_refused_before_the_large_libraries_load():
    assert loaded("ghsl_beam.cli.main", "ghsl_beam.jobfile.configuration") & HEAVY == set()
