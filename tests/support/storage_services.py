"""Storage services that each accept only their own keys and buckets."""

import os
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.support.object_storage import Front

KEYS = {
    "FAR": ("PLANTED-KEY-OF-FAR", "planted-secret-of-far"),
    "OWN": ("PLANTED-KEY-OF-MINE", "planted-secret-of-mine"),
    "AWS": ("PLANTED-KEY-OF-OWN", "planted-secret-of-own"),
}
"""Key and secret by the prefix of their variables."""
_SIGNED = (
    "AWS4-HMAC-SHA256 Credential=any/20200101/us-east-1/s3/aws4_request, "
    "SignedHeaders=host, Signature=0"
)
PLANTED = tuple(value for pair in KEYS.values() for value in pair)


class Service(Front):
    """A front that accepts only requests with its own key, for its own buckets.

    Attributes:
        key: the key of requests that it accepts; "" accepts only unsigned requests.
        buckets: its buckets.
        expires: a text and a number: the key expires after this number of requests with the text in
            their path; None: it never expires.
        most: largest number of requests that were in flight at the same time.
        arrivals: the times of the requests, seconds.
        slow: shortest time of a request, seconds.
    """

    def __init__(self, service: str, key: str, *buckets: str, host: str = "127.0.0.1") -> None:
        self.key, self.buckets = key, buckets
        self.expires: tuple[str, int] | None = None
        self.most, self.arrivals, self.slow = 0, [], 0.0
        self.refused = 0
        self._now, self._counting = 0, threading.Lock()
        super().__init__(service, host)
        if not key:  # moto gives nothing to who does not sign
            self.added = {"Authorization": _SIGNED}

    def begins(self) -> None:
        with self._counting:
            self.arrivals.append(time.monotonic())
            self._now += 1
            self.most = max(self.most, self._now)
        time.sleep(self.slow)

    def ends(self) -> None:
        with self._counting:
            self._now -= 1

    def refusal(self, request):
        signed = re.search(r"Credential=([^/]*)/", request.headers.get("Authorization") or "")
        bucket = request.path.lstrip("/").partition("/")[0].partition("?")[0]
        if (signed[1] if signed else "") != self.key:
            return self._refused("InvalidAccessKeyId")
        if self.expires is not None:
            text, left = self.expires
            left -= text in request.path
            self.expires = text, left
            if left < 0:
                return self._refused("ExpiredToken")
        if bucket not in self.buckets:
            return "", 404, {}, "<Error><Code>NoSuchBucket</Code><Message>none</Message></Error>"
        return None

    def _refused(self, code: str):
        self.refused += 1
        text = f"<Error><Code>{code}</Code><Message>the key {self.key}</Message></Error>"
        return "", 403, {"Content-Type": "application/xml"}, text


@contextmanager
def keys(*prefixes: str) -> Iterator[None]:
    """Inside the context, the environment has only the keys of these prefixes."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            patch.delenv(name)
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        patch.setenv("AWS_CONFIG_FILE", os.devnull)
        patch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        with more_keys(*prefixes):
            yield


@contextmanager
def more_keys(*prefixes: str) -> Iterator[None]:
    """Inside the context, the environment has the keys of these prefixes too."""
    with pytest.MonkeyPatch.context() as patch:
        for prefix in prefixes:
            key, secret = KEYS[prefix]
            patch.setenv(f"{prefix}_ACCESS_KEY_ID", key)
            patch.setenv(f"{prefix}_SECRET_ACCESS_KEY", secret)
        yield
