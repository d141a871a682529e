"""Objects, conditions and ranges of the store in memory."""

from __future__ import annotations

import hashlib
import re
import secrets
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import format_datetime, parsedate_to_datetime
from urllib.parse import parse_qsl

METADATA_LIMIT_BYTES = 2048
_META = "x-amz-meta-"
_KEPT = frozenset(
    {
        "cache-control",
        "content-disposition",
        "content-encoding",
        "content-language",
        "content-type",
        "expires",
        "x-amz-storage-class",
        "x-amz-website-redirect-location",
    }
)
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


class Refused(Exception):
    """An error answer."""

    def __init__(self, status: int, code: str, **headers: str) -> None:
        self.status, self.code = status, code
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}
        super().__init__(code)


@dataclass
class Stored:
    """One version of an object. `data` and `headers` may be tampered with by tests.

    composite: the ETag of an object made of parts, whose sizes are `part_sizes`.
    """

    data: bytes
    headers: dict[str, str]
    last_modified: datetime
    version_id: str = field(default_factory=lambda: secrets.token_hex(16))
    delete_marker: bool = False
    tags: dict[str, str] = field(default_factory=dict)
    composite: str | None = None
    part_sizes: tuple[int, ...] = ()

    @classmethod
    def marker(cls, now: datetime) -> Stored:
        return cls(b"", {}, now, delete_marker=True)

    @property
    def etag(self) -> str:
        return self.composite or md5_hex(self.data)

    def part(self, number: int) -> tuple[int, int]:
        """Start and stop of one of its parts."""
        if number > len(self.part_sizes):
            raise Refused(416, "InvalidPartNumber")
        start = sum(self.part_sizes[: number - 1])
        return start, start + self.part_sizes[number - 1]

    @property
    def metadata_bytes(self) -> int:
        return sum(len(n) + len(v.encode()) for n, v in self.headers.items() if n.startswith(_META))

    def answer_headers(self, *, versioned: bool) -> dict[str, str]:
        headers = {
            "content-type": "binary/octet-stream",
            **self.headers,
            "etag": f'"{self.etag}"',
            "last-modified": format_datetime(self.last_modified, usegmt=True),
            "accept-ranges": "bytes",
        }
        if versioned:
            headers["x-amz-version-id"] = self.version_id
        if self.tags:
            headers["x-amz-tagging-count"] = str(len(self.tags))
        return headers


def md5_hex(data: bytes) -> str:
    """The ETag of an object that holds these bytes."""
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def tags_of(headers: Mapping[str, str]) -> dict[str, str]:
    """The tags that a write gives its object."""
    return dict(parse_qsl(headers.get("x-amz-tagging", ""), keep_blank_values=True))


def check_digest(headers: Mapping[str, str], data: bytes) -> None:
    """Refuse a body that is not what Content-MD5 says."""
    promised = headers.get("content-md5")
    digest = hashlib.md5(data, usedforsecurity=False).digest()
    if promised is not None and b64decode(promised) != digest:
        raise Refused(400, "BadDigest")


def kept_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers of a write that an object keeps."""
    return {n: v for n, v in headers.items() if n in _KEPT or n.startswith(_META)}


def slice_of(header: str | None, size: int) -> tuple[int, int] | None:
    """Start and stop of a Range header; None for the whole object."""
    match = None if header is None else _RANGE.fullmatch(header.strip())
    if match is None or match.groups() == ("", ""):
        return None
    first, last = match.groups()
    if first == "":
        start, stop = max(0, size - int(last)), size
    else:
        start, stop = int(first), min(size, int(last) + 1) if last else size
        if last and int(last) < start:
            return None
    if start >= stop:
        raise Refused(416, "InvalidRange", content_range=f"bytes */{size}")
    return start, stop


def check_conditions(headers: Mapping[str, str], stored: Stored) -> None:
    """Refuse a read whose conditions fail (RFC 9110, 13.2.2)."""
    changed = stored.last_modified.replace(microsecond=0)
    failed = fresh = False
    if "if-match" in headers:
        failed = not _matches(headers["if-match"], stored.etag)
    elif "if-unmodified-since" in headers:
        failed = changed > parsedate_to_datetime(headers["if-unmodified-since"])
    if "if-none-match" in headers:
        fresh = _matches(headers["if-none-match"], stored.etag)
    elif "if-modified-since" in headers:
        fresh = changed <= parsedate_to_datetime(headers["if-modified-since"])
    if failed:
        raise Refused(412, "PreconditionFailed")
    if fresh:
        raise Refused(304, "NotModified", etag=f'"{stored.etag}"')


def check_write_conditions(headers: Mapping[str, str], current: Stored | None) -> None:
    """Refuse a write whose conditions on what is there fail."""
    if "if-match" in headers:
        if current is None:
            raise Refused(404, "NoSuchKey")
        if not _matches(headers["if-match"], current.etag):
            raise Refused(412, "PreconditionFailed")
    if (
        "if-none-match" in headers
        and current is not None
        and _matches(headers["if-none-match"], current.etag)
    ):
        raise Refused(412, "PreconditionFailed")


def _matches(header: str, etag: str) -> bool:
    return any(tag.strip().strip('"') in {"*", etag} for tag in header.split(","))
