"""What is asked, by topic; importing this package fills session.SCENARIOS."""

from tests.contract.scenarios import (
    bucket_settings,
    buckets,
    checksums,
    conditions,
    copies,
    deletes,
    listings,
    locks,
    objects,
    signatures,
    uploads,
    versions,
)

__all__ = [
    "bucket_settings",
    "buckets",
    "checksums",
    "conditions",
    "copies",
    "deletes",
    "listings",
    "locks",
    "objects",
    "signatures",
    "uploads",
    "versions",
]
