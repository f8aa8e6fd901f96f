import functools
import http.server
import threading

import pytest

from ghsl_beam.model_download import fetch_model
from tests.support.jobs import MODELS
from transforms.elements import ModelError
from transforms.inference.weights import load_weights


@pytest.fixture
def served(tmp_path):
    """A folder and the URL under which a real HTTP server on the loopback gives it out."""
    folder = tmp_path / "served"
    folder.mkdir()
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield folder, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_a_model_is_fetched_and_checked_once(served, tmp_path):
    folder, url = served
    good = (MODELS / "DEMONSTRATION_MODEL_CNN_33U.h5").read_bytes()
    (folder / "MODEL_CNN_33U.h5").write_bytes(good)
    path, digest = fetch_model("33U", url, tmp_path / "models")
    assert path.read_bytes() == good
    assert load_weights(path).parameters == 1_448_578
    (folder / "MODEL_CNN_33U.h5").unlink()
    assert fetch_model("33U", url, tmp_path / "models") == (path, digest)


@pytest.mark.parametrize("content", [None, b"", b"<html>not found</html>", "cut"])
def test_what_is_no_model_is_not_kept(served, tmp_path, content):
    folder, url = served
    if content == "cut":
        content = (MODELS / "DEMONSTRATION_MODEL_CNN_33U.h5").read_bytes()[:100_000]
    if content is not None:
        (folder / "MODEL_CNN_33U.h5").write_bytes(content)
    with pytest.raises(ModelError, match=r"MODEL_CNN_33U"):
        fetch_model("33U", url, tmp_path / "models")
    assert list((tmp_path / "models").glob("*")) == []
