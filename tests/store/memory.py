"""An S3 store in memory, behind the product's own ObjectStore interface, that fails on demand.

Handler tests use it: `store.raw(bucket, key)` is what lies on its "disk" and may be replaced,
`store.requests` is what it was asked, `store.fail(...)` arranges the next failures. That it
behaves as a real store does is shown by test_contract.py, which runs over it and over real ones.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import TracebackType
from typing import Self
from urllib.parse import parse_qsl, unquote

from lxml import etree

from sseproxy.errors import StoreCut, StoreProtocolError, StoreUnavailable
from sseproxy.store.objects import StoreBody, StoreCredential
from tests.store import memory_xml
from tests.store.memory_model import (
    METADATA_LIMIT_BYTES,
    Refused,
    Stored,
    check_conditions,
    check_write_conditions,
    kept_headers,
    slice_of,
)

COMPONENT_LIMIT_BYTES = 255
KEY_LIMIT_BYTES = 1024


@dataclass(frozen=True)
class Asked:
    """One request as it reached the store."""

    credential: StoreCredential | None
    method: str
    bucket: str | None
    key: str | None
    query: dict[str, str]
    headers: dict[str, str]


@dataclass
class Failure:
    """A failure to come. It applies to the first `count` requests that match."""

    method: str | None = None
    key: str | None = None
    count: int = 1
    status: int | None = None  # answer with this error, the body unread
    unreachable: bool = False  # no answer at all
    after_commit: bool = False  # ... but only once the request has been carried out
    cut_after_bytes: int | None = None  # the answer's body ends here, StoreCut
    gate: asyncio.Event | None = None  # wait for it before anything else

    def matches(self, method: str, key: str | None) -> bool:
        return (
            self.count > 0
            and self.method in {None, method}
            and (self.key is None or self.key == key)
        )


class MemoryResponse:
    """A StoreResponse over bytes."""

    def __init__(
        self, status: int, headers: Mapping[str, str], body: bytes = b"", *, head: bool = False
    ) -> None:
        self.status = status
        self.headers = {"server": "memory", **headers, "content-length": str(len(body))}
        self.content_length: int | None = len(body)
        self._body = b"" if head else body
        self._position = 0
        self.cut_after_bytes: int | None = None
        self.released = False

    async def readinto(self, view: memoryview) -> int:
        rest = self._body[self._position :]
        cut = self.cut_after_bytes
        if cut is not None and self._position + len(view) > cut and cut < len(self._body):
            raise StoreCut("the store's answer was cut before its end")
        size = min(len(view), len(rest))
        view[:size] = rest[:size]
        self._position += size
        return size

    async def read(self, limit: int = 16 * 1024 * 1024) -> bytes:
        if len(self._body) - self._position > limit:
            raise StoreProtocolError(f"an answer of more than {limit} bytes")
        data = bytearray(len(self._body) - self._position)
        await self.readinto(memoryview(data))
        return bytes(data)

    def release(self) -> None:
        self.released = True

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.release()


@dataclass
class _Bucket:
    versions: dict[str, list[Stored]] = field(default_factory=dict)
    versioned: bool = False
    public: bool = False

    def current(self, key: str) -> Stored | None:
        newest = self.versions.get(key, [None])[-1]
        return None if newest is None or newest.delete_marker else newest

    def find(self, key: str, version: str | None) -> Stored:
        if version is None:
            found = self.current(key)
            if found is None:
                raise Refused(404, "NoSuchKey")
            return found
        for stored in self.versions.get(key, ()):
            if stored.version_id == version:
                if stored.delete_marker:
                    raise Refused(405, "MethodNotAllowed")
                return stored
        raise Refused(404, "NoSuchVersion")

    def add(self, key: str, stored: Stored) -> None:
        if not self.versioned:
            self.versions[key] = [s for s in self.versions.get(key, []) if s.version_id != "null"]
        self.versions.setdefault(key, []).append(stored)

    def remove(self, key: str, version: str | None, now: datetime) -> dict[str, str]:
        entries = self.versions.get(key, [])
        if version is not None:
            self.versions[key] = [s for s in entries if s.version_id != version]
        elif self.versioned:
            marker = Stored.marker(now)
            self.versions.setdefault(key, []).append(marker)
            return {"x-amz-version-id": marker.version_id, "x-amz-delete-marker": "true"}
        else:
            self.versions[key] = []
        if not self.versions[key]:
            del self.versions[key]
        return {}


class MemoryStore:
    """An ObjectStore. Any credential may do anything; anonymous requests read public buckets."""

    host = "memory.test"

    def __init__(self, *buckets: str, public: Sequence[str] = ()) -> None:
        self.buckets = {name: _Bucket() for name in (*buckets, *public)}
        for name in public:
            self.buckets[name].public = True
        self.requests: list[Asked] = []
        self.failures: list[Failure] = []
        self.metadata_limit_bytes: int | None = METADATA_LIMIT_BYTES
        self.now = lambda: datetime.now(UTC)

    # -- what tests do to it ------------------------------------------------------------------

    def raw(self, bucket: str, key: str) -> Stored:
        """The current object as it lies there. Its fields may be changed."""
        return self.buckets[bucket].find(key, None)

    def keys(self, bucket: str) -> list[str]:
        """Every current key."""
        entries = self.buckets[bucket]
        return sorted(key for key in entries.versions if entries.current(key) is not None)

    def fail(self, failure: Failure) -> None:
        """Arrange a failure; the first arranged that matches is used."""
        self.failures.append(failure)

    # -- the interface ------------------------------------------------------------------------

    async def send(
        self,
        credential: StoreCredential | None,
        method: str,
        bucket: str | None,
        key: str | None,
        *,
        query: Sequence[tuple[str, str]] = (),
        headers: Mapping[str, str] = {},
        body: StoreBody = None,
        content_length: int | None = None,
    ) -> MemoryResponse:
        asked = Asked(credential, method, bucket, key, dict(query), dict(headers))
        self.requests.append(asked)
        failure = next((f for f in self.failures if f.matches(method, key)), None)
        if failure is not None:
            failure.count -= 1
            if failure.gate is not None:
                await failure.gate.wait()
            if failure.unreachable and not failure.after_commit:
                raise StoreUnavailable("the store is unreachable")
            if failure.status is not None:
                error = Refused(failure.status, "InternalError")
                return self._error(error, asked)
        data = await _whole(body, content_length)
        try:
            response = self._answer(asked, data)
        except Refused as error:
            response = self._error(error, asked)
        if failure is not None:
            if failure.unreachable:
                raise StoreUnavailable("the store is unreachable")
            response.cut_after_bytes = failure.cut_after_bytes
        return response

    def _error(self, error: Refused, asked: Asked) -> MemoryResponse:
        body = b"" if error.status == 304 else memory_xml.error(error.code, asked.key or "")
        headers = {"content-type": "application/xml", **error.headers}
        return MemoryResponse(error.status, headers, body, head=asked.method == "HEAD")

    def _answer(self, asked: Asked, data: bytes) -> MemoryResponse:
        if asked.bucket is None:
            if asked.credential is None:
                raise Refused(403, "AccessDenied")
            return MemoryResponse(200, {}, memory_xml.buckets(sorted(self.buckets)))
        if asked.key is None and asked.method == "PUT" and not asked.query:
            return self._make_bucket(asked)
        entries = self.buckets.get(asked.bucket)
        if entries is None:
            raise Refused(404, "NoSuchBucket")
        reads = asked.method in {"GET", "HEAD"}
        if asked.credential is None and not (reads and entries.public):
            raise Refused(403, "AccessDenied")
        if asked.key is None:
            return self._bucket_answer(entries, asked, data)
        return self._object_answer(entries, asked, asked.key, data)

    def _make_bucket(self, asked: Asked) -> MemoryResponse:
        if asked.credential is None:
            raise Refused(403, "AccessDenied")
        if asked.bucket in self.buckets:
            raise Refused(409, "BucketAlreadyOwnedByYou")
        self.buckets[str(asked.bucket)] = _Bucket()
        return MemoryResponse(200, {"location": f"/{asked.bucket}"})

    def _bucket_answer(self, entries: _Bucket, asked: Asked, data: bytes) -> MemoryResponse:
        match asked.method, asked.query:
            case "HEAD", _:
                return MemoryResponse(200, {}, head=True)
            case "GET", {"versioning": _}:
                return MemoryResponse(200, {}, memory_xml.versioning(entries.versioned))
            case "PUT", {"versioning": _}:
                entries.versioned = b"Enabled" in data
                return MemoryResponse(200, {})
            case "POST", {"delete": _}:
                return self._delete_many(entries, data)
            case "DELETE", query if not query:
                if entries.versions:
                    raise Refused(409, "BucketNotEmpty")
                del self.buckets[str(asked.bucket)]
                return MemoryResponse(204, {})
            case "GET", query:
                listing = memory_xml.listing(str(asked.bucket), entries.versions, query)
                return MemoryResponse(200, {"content-type": "application/xml"}, listing)
        raise Refused(501, "NotImplemented")

    def _delete_many(self, entries: _Bucket, data: bytes) -> MemoryResponse:
        root = etree.fromstring(data)
        keys = [str(item.findtext("{*}Key")) for item in root.iterfind("{*}Object")]
        for key in keys:
            entries.remove(key, None, self.now())
        return MemoryResponse(200, {}, memory_xml.deleted(keys))

    def _object_answer(
        self, entries: _Bucket, asked: Asked, key: str, data: bytes
    ) -> MemoryResponse:
        known = {"versionId", "x-id", "partNumber"}
        if any(n not in known and not n.startswith("response-") for n in asked.query):
            raise Refused(501, "NotImplemented")
        if asked.method in {"GET", "HEAD"}:
            return self._get(entries, asked, key)
        if asked.method == "DELETE":
            check_write_conditions(asked.headers, entries.current(key))
            extra = entries.remove(key, asked.query.get("versionId"), self.now())
            return MemoryResponse(204, extra)
        if asked.method != "PUT":
            raise Refused(501, "NotImplemented")
        if len(key.encode()) > KEY_LIMIT_BYTES:
            raise Refused(400, "KeyTooLongError")
        if any(len(part.encode()) > COMPONENT_LIMIT_BYTES for part in key.split("/")):
            raise Refused(400, "KeyTooLongError")
        if "x-amz-copy-source" in asked.headers:
            return self._copy(entries, asked, key)
        return self._put(entries, asked, key, data)

    def _get(self, entries: _Bucket, asked: Asked, key: str) -> MemoryResponse:
        stored = entries.find(key, asked.query.get("versionId"))
        check_conditions(asked.headers, stored)
        headers = stored.answer_headers(versioned=entries.versioned)
        for name, value in asked.query.items():
            if name.startswith("response-"):
                headers[name.removeprefix("response-")] = value
        window = slice_of(asked.headers.get("range"), len(stored.data))
        head = asked.method == "HEAD"
        if window is None:
            return MemoryResponse(200, headers, stored.data, head=head)
        start, stop = window
        headers["content-range"] = f"bytes {start}-{stop - 1}/{len(stored.data)}"
        return MemoryResponse(206, headers, stored.data[start:stop], head=head)

    def _put(self, entries: _Bucket, asked: Asked, key: str, data: bytes) -> MemoryResponse:
        check_write_conditions(asked.headers, entries.current(key))
        stored = Stored(data, kept_headers(asked.headers), self.now())
        return self._store(entries, key, stored)

    def _store(self, entries: _Bucket, key: str, stored: Stored) -> MemoryResponse:
        limit = self.metadata_limit_bytes
        if limit is not None and stored.metadata_bytes > limit:
            raise Refused(400, "MetadataTooLarge")
        if not entries.versioned:
            stored.version_id = "null"
        entries.add(key, stored)
        headers = {"etag": f'"{stored.etag}"'}
        if entries.versioned:
            headers["x-amz-version-id"] = stored.version_id
        return MemoryResponse(200, headers)

    def _copy(self, entries: _Bucket, asked: Asked, key: str) -> MemoryResponse:
        path, _, query = asked.headers["x-amz-copy-source"].partition("?")
        bucket, _, source_key = unquote(path).removeprefix("/").partition("/")
        if bucket not in self.buckets:
            raise Refused(404, "NoSuchBucket")
        version = dict(parse_qsl(query)).get("versionId")
        source = self.buckets[bucket].find(source_key, version)
        prefix = "x-amz-copy-source-"
        conditions = {
            name.removeprefix(prefix): value
            for name, value in asked.headers.items()
            if name.startswith(prefix)
        }
        try:
            check_conditions(conditions, source)
        except Refused as error:
            raise Refused(412, "PreconditionFailed") from error
        check_write_conditions(asked.headers, entries.current(key))
        replace = asked.headers.get("x-amz-metadata-directive", "COPY").upper() == "REPLACE"
        if source is entries.current(key) and not replace:
            raise Refused(400, "InvalidRequest")
        headers = kept_headers(asked.headers) if replace else dict(source.headers)
        stored = Stored(source.data, headers, self.now())
        response = self._store(entries, key, stored)
        body = memory_xml.copied(stored.etag, stored.last_modified)
        return MemoryResponse(200, {**response.headers, "content-type": "application/xml"}, body)


def md5_hex(data: bytes) -> str:
    """The ETag of an object that holds these bytes."""
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


async def _whole(body: StoreBody, content_length: int | None) -> bytes:
    """The body; if its iterator raises, so does this, and nothing is stored."""
    if body is None or isinstance(body, bytes):
        return body or b""
    if content_length is None:
        raise ValueError("a streamed body needs its content-length")
    data = bytearray()
    async for buffer in body:
        data += buffer
    if len(data) != content_length:
        raise ValueError("the body is not of its content-length")
    return bytes(data)
