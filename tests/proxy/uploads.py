"""A client's multipart upload, step by step, for the tests of it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from lxml import etree

from tests.proxies import SYSTEM_BUCKET
from tests.proxy.samples import SMALL, body_of
from tests.proxy.wire import Answer, Wire, b64
from tests.store.memory import MemoryStore

FIVE_MIB = 5 * 1024 * 1024
TWO = [body_of(FIVE_MIB, 1), body_of(SMALL, 2)]


@dataclass
class ClientUpload:
    """One upload. headers: sent with every step that takes a customer key.

    sha256: every part comes with its own, as clients do for an upload that declared it.
    """

    wire: Wire
    path: str
    upload_id: str
    headers: dict[str, str] = field(default_factory=dict)
    etags: dict[int, str] = field(default_factory=dict)
    sha256: bool = False

    @classmethod
    async def create(
        cls, wire: Wire, path: str, headers: Mapping[str, str] = {}, **create: str
    ) -> ClientUpload:
        named = {name.replace("_", "-"): value for name, value in create.items()}
        answer = await wire.request("POST", path, b"", {**headers, **named}, query={"uploads": ""})
        assert answer.status == 200, answer.body
        upload_id = answer.text("UploadId")
        assert upload_id
        declared = named.get("x-amz-checksum-algorithm") == "SHA256"
        return cls(wire, path, upload_id, dict(headers), sha256=declared)

    async def put(
        self, number: int | str, body: bytes, headers: Mapping[str, str] = {}, **extra
    ) -> Answer:
        query = {"partNumber": str(number), "uploadId": self.upload_id}
        sent = {**self.headers, **headers}
        if self.sha256 and not any(name.startswith("x-amz-checksum-") for name in sent):
            sent["x-amz-checksum-sha256"] = b64(hashlib.sha256(body).digest())
        answer = await self.wire.put(self.path, body, sent, query=query, **extra)
        if answer.status == 200:
            self.etags[int(number)] = answer.etag
        return answer

    async def parts(self, **query: str) -> Answer:
        named = {name.replace("_", "-"): value for name, value in query.items()}
        return await self.wire.get(
            self.path, self.headers, query={"uploadId": self.upload_id, **named}
        )

    def document(self, parts: Sequence[tuple[int, str]] | None = None) -> bytes:
        listed = sorted(self.etags.items()) if parts is None else parts
        items = (
            f"<Part><PartNumber>{number}</PartNumber><ETag>&quot;{etag}&quot;</ETag></Part>"
            for number, etag in listed
        )
        return f"<CompleteMultipartUpload>{''.join(items)}</CompleteMultipartUpload>".encode()

    async def complete(
        self, body: bytes | None = None, headers: Mapping[str, str] = {}, **extra
    ) -> Answer:
        return await self.wire.request(
            "POST",
            self.path,
            self.document() if body is None else body,
            headers,
            query={"uploadId": self.upload_id},
            **extra,
        )

    async def abort(self) -> Answer:
        return await self.wire.request("DELETE", self.path, query={"uploadId": self.upload_id})


def listed(answer: Answer) -> list[tuple[int, int, str]]:
    """(number, size, ETag) of the parts in a ListParts answer."""
    return [
        (
            int(part.findtext("{*}PartNumber")),
            int(part.findtext("{*}Size")),
            part.findtext("{*}ETag").strip('"'),
        )
        for part in etree.fromstring(answer.body).iterfind("{*}Part")
    ]


def records(store: MemoryStore, prefix: str = "u/") -> list[str]:
    """The names of records in the system bucket."""
    return [key for key in store.keys(SYSTEM_BUCKET) if key.startswith(prefix)]


def disk(store: MemoryStore) -> bytes:
    """All that the store has: objects, parts of uploads, names and metadata."""
    everything = bytearray()
    for bucket in store.buckets.values():
        for key, versions in bucket.versions.items():
            everything += key.encode()
            for stored in versions:
                everything += repr(stored.headers).encode() + stored.data
        for upload in bucket.uploads.values():
            everything += repr(upload.headers).encode()
            for part in upload.parts.values():
                everything += part.data
    return bytes(everything)


async def two_parts(wire: Wire, path: str = "/data/k", **create: str) -> ClientUpload:
    """An upload with the parts TWO."""
    upload = await ClientUpload.create(wire, path, **create)
    for number, body in enumerate(TWO, 1):
        assert (await upload.put(number, body)).status == 200
    return upload


def part(number: object, etag: str, more: str = "") -> str:
    """One Part of a CompleteMultipartUpload."""
    return f"<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag>{more}</Part>"


def document(*parts: str) -> bytes:
    """The whole of it."""
    return f"<CompleteMultipartUpload>{''.join(parts)}</CompleteMultipartUpload>".encode()
