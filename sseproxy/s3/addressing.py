"""Host and path -> bucket and key; path style, or virtual-host style below known domains.

Keys are decoded once and never normalised: `//`, `%2F`, `+` and a trailing `/` arrive as sent.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from sseproxy.s3.faults import Fault, S3Error
from sseproxy.s3.request import RequestHead, decode

MAX_KEY_BYTES = 1024
MAX_BUCKET_BYTES = 255
_PORT = re.compile(r":[0-9]*\Z")
_NOT_IN_BUCKET = re.compile(r"[/\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Target:
    """What a request addresses: the service (both None), a bucket, or an object in it."""

    bucket: str | None
    key: str | None


def check_key(key: str) -> str:
    """The key itself, if it may name an object; also for keys that come in a body.

    Raises S3Error: KeyTooLongError, or InvalidURI if its ".." segments lead out of its bucket.
    """
    size_bytes = len(key.encode())
    if size_bytes > MAX_KEY_BYTES:
        raise S3Error(
            Fault.KeyTooLongError, Size=str(size_bytes), MaxSizeAllowed=str(MAX_KEY_BYTES)
        )
    if _climbs_out(key):
        raise S3Error(Fault.InvalidURI, "The key leads out of its bucket.")
    return key


class Addressing:
    """How hosts and paths name buckets.

    domains: hosts below which the first labels are a bucket ("s3.example.com" for
    "photos.s3.example.com"); without any, every request is path style.
    """

    def __init__(self, domains: Sequence[str] = ()) -> None:
        bare = {domain.lower().strip(".") for domain in domains}
        self._domains = sorted(bare - {""}, key=len, reverse=True)  # the most specific first

    def resolve(self, head: RequestHead) -> Target:
        """The target of a request.

        Raises S3Error: InvalidBucketName, KeyTooLongError (over 1,024 bytes of UTF-8),
        InvalidURI for a key whose ".." segments lead out of its bucket.
        """
        bucket = self.bucket_of_host(head.host)
        if bucket is not None:
            return _target(bucket, head.raw_path[1:])
        return _split(head.raw_path)

    def resolve_copy_source(self, value: str) -> tuple[Target, str | None]:
        """The source object and version id that a copy-source header names.

        value: "bucket/key" percent-encoded, with or without a leading "/", and with
        "?versionId=..." or not. Raises S3Error(InvalidArgument), or what `resolve` raises.
        """
        path, _, query = value.partition("?")
        version = None
        if query:
            name, _, version = query.partition("=")
            if name != "versionId" or not version:
                raise _bad_copy_source()
        target = _split("/" + path.removeprefix("/"))
        if target.key is None or path.startswith("arn:"):
            raise _bad_copy_source()
        return target, decode(version) if version else None

    def bucket_of_host(self, host: str) -> str | None:
        """The bucket that a Host header names in virtual-host style, else None."""
        name = _PORT.sub("", host).lower()
        if name in self._domains:
            return None
        for domain in self._domains:
            if name.endswith("." + domain):
                return name[: -len(domain) - 1]
        return None


def _split(raw_path: str) -> Target:
    if raw_path == "/":
        return Target(None, None)
    bucket, _, raw_key = raw_path[1:].partition("/")
    return _target(decode(bucket), raw_key)


def _target(bucket: str, raw_key: str) -> Target:
    # Lenient, since stores differ; what could be taken for a path is never a bucket.
    size_bytes = len(bucket.encode())
    if (
        not 1 <= size_bytes <= MAX_BUCKET_BYTES
        or bucket in (".", "..")
        or _NOT_IN_BUCKET.search(bucket)
    ):
        raise S3Error(Fault.InvalidBucketName)
    return Target(bucket, check_key(decode(raw_key)) or None)


def _climbs_out(key: str) -> bool:
    """A store that normalises paths would find this key in another bucket."""
    depth = 0
    for segment in key.split("/"):
        if segment == "..":
            depth -= 1
            if depth < 0:
                return True
        elif segment not in ("", "."):
            depth += 1
    return False


def _bad_copy_source() -> S3Error:
    return S3Error(
        Fault.InvalidArgument,
        "Copy Source must mention the source bucket and key: sourcebucket/sourcekey.",
        ArgumentName="x-amz-copy-source",
    )
