"""Storage services: which endpoint, which keys and which limits belong to the bucket of a location.

A location names only its bucket: `s3://bucket/key`. The bucket chooses the service. All other
buckets are at the service that the environment names, as for the AWS tools. A launch sets the
services of its job with `use`. The work area of the job carries them to the workers, without keys.
Each worker finds the keys in its own environment.
"""

from .environment import endpoint
from .gdal import credential_options, gdal_options
from .keys import KeysError, check_keys, missing_reason, refused, refused_reason
from .limits import slot
from .registry import Services, current, known, limited, of, replaced, use
from .s3 import client_options
from .service import SHIPPED, Service, ServiceError

__all__ = [
    "SHIPPED",
    "KeysError",
    "Service",
    "ServiceError",
    "Services",
    "check_keys",
    "client_options",
    "credential_options",
    "current",
    "endpoint",
    "gdal_options",
    "known",
    "limited",
    "missing_reason",
    "of",
    "refused",
    "refused_reason",
    "replaced",
    "slot",
    "use",
]
