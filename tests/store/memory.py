"""An S3 store in memory, behind the product's own ObjectStore interface, that fails on demand.

Handler tests use it: `store.raw(bucket, key)` is what lies on its "disk" and may be replaced,
`store.requests` is what it was asked, `store.fail(...)` arranges the next failures. That it
behaves as a real store does is shown by test_contract.py, which runs over it and over real ones.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from urllib.parse import parse_qsl, unquote

from lxml import etree

from sseproxy.errors import StoreUnavailable
from sseproxy.store.objects import StoreBody, StoreCredential
from tests.store import memory_uploads, memory_xml
from tests.store.memory_bucket import Bucket
from tests.store.memory_model import (
    METADATA_LIMIT_BYTES,
    Refused,
    Stored,
    check_conditions,
    check_digest,
    check_write_conditions,
    kept_headers,
    md5_hex,
    slice_of,
    tags_of,
)
from tests.store.memory_wire import Asked, Failure, MemoryResponse

__all__ = ["Asked", "Failure", "MemoryResponse", "MemoryStore", "md5_hex"]

COMPONENT_LIMIT_BYTES = 255
KEY_LIMIT_BYTES = 1024
_XML = {"content-type": "application/xml"}


class MemoryStore:
    """An ObjectStore. Any credential may do anything; anonymous requests read public buckets."""

    host = "memory.test"

    def __init__(self, *buckets: str, public: Sequence[str] = ()) -> None:
        self.buckets = {name: Bucket() for name in (*buckets, *public)}
        for name in public:
            self.buckets[name].public = True
        self.requests: list[Asked] = []
        self.failures: list[Failure] = []
        self.metadata_limit_bytes: int | None = METADATA_LIMIT_BYTES
        self.minimum_part_bytes = memory_uploads.MINIMUM_PART_BYTES
        self.metadata_listing = False  # MinIO's list-type=2&metadata=true
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
        failure = next((f for f in self.failures if f.matches(method, key, asked.query)), None)
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
        self.buckets[str(asked.bucket)] = Bucket()
        return MemoryResponse(200, {"location": f"/{asked.bucket}"})

    def _bucket_answer(self, entries: Bucket, asked: Asked, data: bytes) -> MemoryResponse:
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
            case _, {"policy": _}:
                return self._policy_answer(entries, asked, data)
            case "GET", {"uploads": _}:
                return memory_uploads.list_uploads(entries, asked)
            case "GET", query:
                told = self.metadata_listing and query.get("metadata") == "true"
                listing = memory_xml.listing(
                    str(asked.bucket), entries.versions, query, metadata=told
                )
                return MemoryResponse(200, _XML, listing)
        raise Refused(501, "NotImplemented")

    def _policy_answer(self, entries: Bucket, asked: Asked, data: bytes) -> MemoryResponse:
        if asked.method == "PUT":
            if not json.loads(data)["Statement"]:
                raise Refused(400, "MalformedPolicy")
            entries.policy = data
            return MemoryResponse(204, {})
        if entries.policy is None:
            raise Refused(404, "NoSuchBucketPolicy")
        if asked.method == "GET":
            return MemoryResponse(200, {"content-type": "application/json"}, entries.policy)
        entries.policy = None
        return MemoryResponse(204, {})

    def _delete_many(self, entries: Bucket, data: bytes) -> MemoryResponse:
        root = etree.fromstring(data)
        named = [
            (str(item.findtext("{*}Key")), item.findtext("{*}VersionId"))
            for item in root.iterfind("{*}Object")
        ]
        for key, version in named:
            entries.remove(key, version, self.now())
        told = [] if root.findtext("{*}Quiet") == "true" else named
        return MemoryResponse(200, _XML, memory_xml.deleted(told))

    def _object_answer(
        self, entries: Bucket, asked: Asked, key: str, data: bytes
    ) -> MemoryResponse:
        if "tagging" in asked.query:
            return self._tagging(entries, asked, key, data)
        if "uploads" in asked.query or "uploadId" in asked.query:
            return self._upload_answer(entries, asked, key, data)
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
        self._check_name(key)
        if "x-amz-copy-source" in asked.headers:
            return self._copy(entries, asked, key)
        return self._put(entries, asked, key, data)

    def _upload_answer(
        self, entries: Bucket, asked: Asked, key: str, data: bytes
    ) -> MemoryResponse:
        match asked.method, asked.query:
            case "POST", {"uploads": _}:
                self._check_name(key)
                self._check_metadata(Stored(b"", kept_headers(asked.headers), self.now()))
                return memory_uploads.create(entries, asked, key, self.now())
            case "PUT", {"uploadId": _, "partNumber": _}:
                if "x-amz-copy-source" in asked.headers:
                    source = self._source(asked)
                    return memory_uploads.upload_part_copy(entries, asked, key, source, self.now())
                check_digest(asked.headers, data)
                return memory_uploads.upload_part(entries, asked, key, data, self.now())
            case "GET", {"uploadId": _}:
                return memory_uploads.list_parts(entries, asked, key)
            case "DELETE", {"uploadId": _}:
                return memory_uploads.abort(entries, asked, key)
            case "POST", {"uploadId": _}:
                least = self.minimum_part_bytes
                return memory_uploads.complete(
                    entries, asked, key, data, self.now(), minimum_part_bytes=least
                )
        raise Refused(501, "NotImplemented")

    def _tagging(self, entries: Bucket, asked: Asked, key: str, data: bytes) -> MemoryResponse:
        stored = entries.find(key, asked.query.get("versionId"))
        if asked.method == "GET":
            return MemoryResponse(200, _XML, memory_xml.tagging(stored.tags))
        if asked.method == "DELETE":
            stored.tags = {}
            return MemoryResponse(204, {})
        if asked.method != "PUT":
            raise Refused(501, "NotImplemented")
        stored.tags = {
            str(tag.findtext("{*}Key")): str(tag.findtext("{*}Value") or "")
            for tag in etree.fromstring(data).iter("{*}Tag")
        }
        return MemoryResponse(200, {})

    def _check_name(self, key: str) -> None:
        if len(key.encode()) > KEY_LIMIT_BYTES:
            raise Refused(400, "KeyTooLongError")
        if any(len(part.encode()) > COMPONENT_LIMIT_BYTES for part in key.split("/")):
            raise Refused(400, "KeyTooLongError")

    def _get(self, entries: Bucket, asked: Asked, key: str) -> MemoryResponse:
        stored = entries.find(key, asked.query.get("versionId"))
        check_conditions(asked.headers, stored)
        headers = stored.answer_headers(versioned=entries.versioned)
        for name, value in asked.query.items():
            if name.startswith("response-"):
                headers[name.removeprefix("response-")] = value
        window = slice_of(asked.headers.get("range"), len(stored.data))
        if "partNumber" in asked.query and stored.part_sizes:
            window = stored.part(memory_uploads.part_number(asked.query))
            headers["x-amz-mp-parts-count"] = str(len(stored.part_sizes))
        head = asked.method == "HEAD"
        if window is None:
            return MemoryResponse(200, headers, stored.data, head=head)
        start, stop = window
        headers["content-range"] = f"bytes {start}-{stop - 1}/{len(stored.data)}"
        return MemoryResponse(206, headers, stored.data[start:stop], head=head)

    def _put(self, entries: Bucket, asked: Asked, key: str, data: bytes) -> MemoryResponse:
        check_digest(asked.headers, data)
        check_write_conditions(asked.headers, entries.current(key))
        stored = Stored(data, kept_headers(asked.headers), self.now(), tags=tags_of(asked.headers))
        self._check_metadata(stored)
        return MemoryResponse(200, entries.add(key, stored))

    def _check_metadata(self, stored: Stored) -> None:
        limit = self.metadata_limit_bytes
        if limit is not None and stored.metadata_bytes > limit:
            raise Refused(400, "MetadataTooLarge")

    def _source(self, asked: Asked) -> Stored:
        """What x-amz-copy-source names, if its conditions hold."""
        path, _, query = asked.headers["x-amz-copy-source"].partition("?")
        bucket, _, source_key = unquote(path).removeprefix("/").partition("/")
        if bucket not in self.buckets:
            raise Refused(404, "NoSuchBucket")
        version = dict(parse_qsl(query)).get("versionId")
        source = self.buckets[bucket].find(source_key, version)
        prefix = "x-amz-copy-source-if-"
        conditions = {
            "if-" + name.removeprefix(prefix): value
            for name, value in asked.headers.items()
            if name.startswith(prefix)
        }
        try:
            check_conditions(conditions, source)
        except Refused as error:
            raise Refused(412, "PreconditionFailed") from error
        return source

    def _copy(self, entries: Bucket, asked: Asked, key: str) -> MemoryResponse:
        source = self._source(asked)
        check_write_conditions(asked.headers, entries.current(key))
        replace = asked.headers.get("x-amz-metadata-directive", "COPY").upper() == "REPLACE"
        if source is entries.current(key) and not replace:
            raise Refused(400, "InvalidRequest")
        headers = kept_headers(asked.headers) if replace else dict(source.headers)
        retag = asked.headers.get("x-amz-tagging-directive", "COPY").upper() == "REPLACE"
        tags = tags_of(asked.headers) if retag else dict(source.tags)
        stored = Stored(source.data, headers, self.now(), tags=tags)
        self._check_metadata(stored)
        told = entries.add(key, stored)
        body = memory_xml.copied(stored.etag, stored.last_modified)
        return MemoryResponse(200, told | _XML, body)


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
