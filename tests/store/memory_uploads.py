"""Multipart uploads of the store in memory."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime

from lxml import etree

from tests.store import memory_xml
from tests.store.memory_bucket import Bucket, Part, Upload
from tests.store.memory_model import (
    Refused,
    Stored,
    check_write_conditions,
    kept_headers,
    slice_of,
    tags_of,
)
from tests.store.memory_wire import Asked, MemoryResponse

LARGEST_PART_NUMBER = 10_000
MINIMUM_PART_BYTES = 5 * 1024 * 1024
_XML = {"content-type": "application/xml"}


def create(bucket: Bucket, asked: Asked, key: str, now: datetime) -> MemoryResponse:
    upload = Upload(key, kept_headers(asked.headers), tags_of(asked.headers), now)
    bucket.uploads[upload.upload_id] = upload
    body = memory_xml.initiated(str(asked.bucket), key, upload.upload_id)
    return MemoryResponse(200, _XML, body)


def part_number(query: Mapping[str, str]) -> int:
    text = query["partNumber"]
    number = int(text) if text.isascii() and text.isdigit() else 0
    if not 1 <= number <= LARGEST_PART_NUMBER:
        raise Refused(400, "InvalidArgument")
    return number


def upload_part(
    bucket: Bucket, asked: Asked, key: str, data: bytes, now: datetime
) -> MemoryResponse:
    number = part_number(asked.query)
    upload = bucket.find_upload(key, asked.query["uploadId"])
    part = upload.parts[number] = Part(data, now)
    return MemoryResponse(200, {"etag": f'"{part.etag}"'})


def upload_part_copy(
    bucket: Bucket, asked: Asked, key: str, source: Stored, now: datetime
) -> MemoryResponse:
    number = part_number(asked.query)
    upload = bucket.find_upload(key, asked.query["uploadId"])
    data = source.data
    wanted = asked.headers.get("x-amz-copy-source-range")
    if wanted is not None:
        window = slice_of(wanted, len(data))
        if window is None or not wanted.endswith(str(window[1] - 1)):
            raise Refused(400, "InvalidArgument")
        data = data[slice(*window)]
    part = upload.parts[number] = Part(data, now)
    body = memory_xml.copied(part.etag, part.last_modified, part=True)
    return MemoryResponse(200, _XML, body)


def list_parts(bucket: Bucket, asked: Asked, key: str) -> MemoryResponse:
    upload = bucket.find_upload(key, asked.query["uploadId"])
    after = int(asked.query.get("part-number-marker") or 0)
    limit = min(int(asked.query.get("max-parts") or 1000), 1000)
    body = memory_xml.parts(str(asked.bucket), upload, after, limit)
    return MemoryResponse(200, _XML, body)


def list_uploads(bucket: Bucket, asked: Asked) -> MemoryResponse:
    body = memory_xml.uploads(str(asked.bucket), bucket.uploads.values(), asked.query)
    return MemoryResponse(200, _XML, body)


def abort(bucket: Bucket, asked: Asked, key: str) -> MemoryResponse:
    upload = bucket.find_upload(key, asked.query["uploadId"])
    del bucket.uploads[upload.upload_id]
    return MemoryResponse(204, {})


def complete(
    bucket: Bucket,
    asked: Asked,
    key: str,
    data: bytes,
    now: datetime,
    *,
    minimum_part_bytes: int = MINIMUM_PART_BYTES,
) -> MemoryResponse:
    upload = bucket.find_upload(key, asked.query["uploadId"])
    parts = _chosen(upload, data)
    if any(len(part.data) < minimum_part_bytes for part in parts[:-1]):
        raise Refused(400, "EntityTooSmall")
    check_write_conditions(asked.headers, bucket.current(key))
    stored = Stored(
        b"".join(part.data for part in parts),
        upload.headers,
        now,
        tags=upload.tags,
        composite=composite_etag([part.etag for part in parts]),
        part_sizes=tuple(len(part.data) for part in parts),
    )
    headers = bucket.add(key, stored)
    del bucket.uploads[upload.upload_id]
    body = memory_xml.completed(str(asked.bucket), key, str(stored.composite))
    version = {n: v for n, v in headers.items() if n == "x-amz-version-id"}
    return MemoryResponse(200, _XML | version, body)


def composite_etag(etags: list[str]) -> str:
    """The ETag of an object whose parts have these."""
    joined = b"".join(map(bytes.fromhex, etags))
    return f"{hashlib.md5(joined, usedforsecurity=False).hexdigest()}-{len(etags)}"


def _chosen(upload: Upload, data: bytes) -> list[Part]:
    try:
        root = etree.fromstring(data)
        listed = [
            (int(str(item.findtext("{*}PartNumber"))), str(item.findtext("{*}ETag")).strip('"'))
            for item in root.iterfind("{*}Part")
        ]
    except (etree.XMLSyntaxError, ValueError) as error:
        raise Refused(400, "MalformedXML") from error
    numbers = [number for number, _ in listed]
    if not numbers:
        raise Refused(400, "MalformedXML")
    if numbers != sorted(set(numbers)):
        raise Refused(400, "InvalidPartOrder")
    if any(n not in upload.parts or upload.parts[n].etag != etag for n, etag in listed):
        raise Refused(400, "InvalidPart")
    return [upload.parts[number] for number in numbers]
