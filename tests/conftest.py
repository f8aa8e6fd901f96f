"""Where the tests find the shared real data, and how they share the work."""

import os
import signal
from pathlib import Path

import pytest
from apache_beam.transforms import core as beam_core
from hypothesis import settings
from xdist.scheduler import LoadScopeScheduling

from transforms.storage import redaction, services, signing

# The tests run in as many processes as there are cores: threads that wait for each other there cost
# many times what they do. Set before any library reads it.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Under nohup, SIGHUP is ignored, and so by every process that a test starts: by them it is heard.
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, lambda *_: None)
# How long an example takes says more of the machine than of the law.
settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")
ROOT = Path(__file__).resolve().parents[1]


class BySharing(LoadScopeScheduling):
    """Keeps tests in one process that share servers: those of a file, and those of a cluster."""

    def _split_scope(self, nodeid):
        file, _, test = nodeid.partition("::")
        if file.startswith("tests/cluster/") and test.endswith("]"):
            return test.rpartition("[")[2]
        return file


def pytest_xdist_make_scheduler(config, log):
    """Divide the tests among processes with `BySharing`, in their order."""
    config.option.loadscopereorder = False
    return BySharing(config, log)


@pytest.fixture(scope="session", autouse=True)
def _beam_looks_once():
    """Keep the signatures of Beam's own methods.

    Beam reads each of them hundreds of times in a launch: an eighth of the time of a small job.
    """
    read, kept = beam_core.get_signature, {}

    def read_once(method):
        function = getattr(method, "__func__", None)
        if not getattr(function, "__module__", "").startswith("apache_beam."):
            return read(method)
        if function not in kept:
            kept[function] = read(method)
        return kept[function]

    beam_core.get_signature = read_once
    yield
    beam_core.get_signature = read


@pytest.fixture(autouse=True)
def _no_secrets_of_other_tests():
    """Each test starts without the secrets that earlier tests registered."""
    # Without pytest's monkeypatch: made before all other fixtures, it would undo its changes after
    # them, and so bring back what they had set.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(redaction, "_LEARNT", set())
        yield


@pytest.fixture(scope="module", autouse=True)
def _variables_of_storage_stay():
    """The tests of a file leave the variables of object storage as they found them."""
    before = _variables_of_storage()
    yield
    assert _variables_of_storage() == before


def _variables_of_storage():
    return {name: value for name, value in os.environ.items() if name.startswith("AWS_")}


@pytest.fixture(scope="session", autouse=True)
def _cache_of_the_tests(tmp_path_factory):
    """Tests fetch files into a cache of their own, not into that of the person who runs them."""
    before = os.environ.get("XDG_CACHE_HOME")
    os.environ["XDG_CACHE_HOME"] = str(tmp_path_factory.mktemp("cache"))
    yield
    if before is None:
        del os.environ["XDG_CACHE_HOME"]
    else:
        os.environ["XDG_CACHE_HOME"] = before


@pytest.fixture(autouse=True)
def _shipped_services_alone():
    """Each test starts with the shipped services and signers."""
    yield
    services.use(services.Services())
    signing.use(signing.Signers())


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real Sentinel-2 data; without it, the test is skipped."""
    folder = Path(os.environ.get("GHSL_BEAM_TEST_DATA", ROOT / ".." / "shared" / "data")).resolve()
    if not (folder / "README.md").is_file():
        pytest.skip("no shared test data: set GHSL_BEAM_TEST_DATA to its folder")
    return folder
