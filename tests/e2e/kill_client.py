"""A client for the tests that kill: objects as it knows them, and requests that may be cut."""

from __future__ import annotations

import functools
import random
from collections.abc import Mapping
from dataclasses import dataclass

from lxml import etree

from sseproxy.s3.multipart_xml import complete_request
from tests.contract.client import UNSIGNED, Endpoint, Reply
from tests.e2e.attacks import md5_hex

# Nothing of the plaintexts can be compressed: a store that does so would hide them.
MARK = random.Random("mark").randbytes(24)
_MARK_EVERY_BYTES = 4096
TURN = "x-amz-meta-turn"


@functools.lru_cache
def plain(what: str, size: int) -> bytes:
    """A plaintext that begins with the mark and has it all along, no block of it like another."""
    noise = random.Random(what).randbytes(size)
    step = _MARK_EVERY_BYTES
    return b"".join(MARK + noise[at : at + step] for at in range(0, size, step))[:size]


@dataclass(frozen=True)
class Version:
    """An object as a client knows it. turn: of its metadata."""

    body: bytes
    etag: str
    turn: str

    @classmethod
    def single(cls, body: bytes, turn: str) -> Version:
        return cls(body, md5_hex(body), turn)

    @classmethod
    def of_parts(cls, parts: list[bytes], turn: str) -> Version:
        digests = b"".join(bytes.fromhex(md5_hex(part)) for part in parts)
        return cls(b"".join(parts), f"{md5_hex(digests)}-{len(parts)}", turn)

    def __repr__(self) -> str:
        return f"<{self.turn} of {len(self.body)} bytes, {self.etag}, {self.body[24:30].hex()}>"


class S3:
    """A client of one server. No answer that it gets may be a 500."""

    def __init__(self, url: str, access_key: str, secret_key: str, bucket: str) -> None:
        self.endpoint, self.bucket = Endpoint(url, access_key, secret_key), bucket

    def ask(
        self,
        method: str,
        key: str,
        query: Mapping[str, str] = {},
        headers: Mapping[str, str] = {},
        body: bytes = b"",
    ) -> Reply:
        """key: "" for the bucket itself. Raises OSError, HTTPException for a cut answer."""
        path = f"/{self.bucket}/{key}" if key else f"/{self.bucket}"
        hashed = UNSIGNED if body else None
        reply = self.endpoint.send(
            method, path, query=query, headers=headers, body=body, payload_hash=hashed
        )
        assert reply.status != 500, (method, key, query, reply)
        return reply

    def put(self, key: str, version: Version, headers: Mapping[str, str] = {}) -> Reply:
        sent = {TURN: version.turn, **headers}
        return done(self.ask("PUT", key, headers=sent, body=version.body))

    def see(self, key: str) -> Version | None:
        """The object by GET, by HEAD and as it is listed, which must agree."""
        got, head = self.ask("GET", key), self.ask("HEAD", key)
        listed = self._listed(key)
        if got.status == 404:
            assert (head.status, listed) == (404, None), (key, head.status, listed)
            return None
        assert (got.status, head.status) == (200, 200), (key, got.status, head.status, got.body)
        etag, size = got.headers["etag"], len(got.body)
        assert (head.headers["etag"], head.headers["content-length"]) == (etag, str(size))
        assert head.headers[TURN] == got.headers[TURN]
        assert listed == (etag, size), (key, listed, etag, size)
        return Version(got.body, etag.strip('"'), got.headers[TURN])

    def _listed(self, key: str) -> tuple[str, int] | None:
        found = self.ask("GET", "", {"list-type": "2", "prefix": key})
        assert found.status == 200, found
        for item in xml(found).iter("{*}Contents"):
            if item.findtext("{*}Key") == key:
                return item.findtext("{*}ETag", ""), int(item.findtext("{*}Size", "-1"))
        return None

    # -- uploads ----------------------------------------------------------------------------

    def create(self, key: str) -> str:
        reply = done(self.ask("POST", key, {"uploads": ""}, {TURN: "new"}))
        return xml(reply).findtext("{*}UploadId", "")

    def part(self, key: str, upload_id: str, number: int, body: bytes) -> Reply:
        return self.ask("PUT", key, {"partNumber": str(number), "uploadId": upload_id}, body=body)

    def parts(self, key: str, upload_id: str) -> dict[int, tuple[str, int]] | None:
        """ETag and size of the parts that are listed; None if there is no such upload."""
        reply = self.ask("GET", key, {"uploadId": upload_id})
        if reply.status == 404:
            return None
        return {
            int(part.findtext("{*}PartNumber", "")): (
                part.findtext("{*}ETag", "").strip('"'),
                int(part.findtext("{*}Size", "")),
            )
            for part in xml(done(reply)).iter("{*}Part")
        }

    def complete(self, key: str, upload_id: str, parts: list[bytes]) -> Reply:
        listed = [(number, md5_hex(part)) for number, part in enumerate(parts, 1)]
        body = complete_request(listed)
        return self.ask("POST", key, {"uploadId": upload_id}, body=body)

    def abort(self, key: str, upload_id: str) -> Reply:
        return self.ask("DELETE", key, {"uploadId": upload_id})


def xml(reply: Reply) -> etree._Element:
    return etree.fromstring(reply.body)


def done(reply: Reply) -> Reply:
    """Not an answer to be happy with is an error, whatever its status line says."""
    assert reply.status in (200, 204), reply
    assert b"<Error>" not in reply.body, reply
    return reply
