"""Multipart objects laid into the store past the proxy, so that reads have something to read."""

from __future__ import annotations

import hashlib
import secrets
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

from sseproxy.format.attributes import Attributes
from sseproxy.format.derive import composite_etag, random_part_etag, verifier
from sseproxy.format.envelope import NO_PART_SALT, new_data_id, new_dek, new_salt, seal_envelope
from sseproxy.format.header import Header
from sseproxy.format.manifest import Manifest, ManifestPart
from sseproxy.format.names import composite_of, manifest_name
from sseproxy.format.segments import PartSealer
from sseproxy.proxy.streams import seal_whole
from sseproxy.s3.sse import CustomerKey, SseMode
from sseproxy.secret import Secret
from tests.proxies import SYSTEM_BUCKET
from tests.proxy.samples import RESERVED, body_of
from tests.proxy.wire import Wire, content_md5
from tests.store.memory import MemoryStore
from tests.store.memory_model import Stored, md5_hex

SEGMENT = 65536
# Parts that end on, before and behind a segment; one of a byte, and empty ones at each place.
SIZES = [0, 3 * SEGMENT, SEGMENT + 1, 1, 0, 2 * SEGMENT - 1, 70_000, 0]


@dataclass
class Multipart:
    """A multipart object, and what it is made of."""

    bucket: str
    key: str
    bodies: list[bytes]
    sealed: list[bytes]
    manifest: Manifest
    manifest_id: bytes
    composite: str

    @property
    def body(self) -> bytes:
        return b"".join(self.bodies)

    @property
    def etag(self) -> str:
        return self.manifest.etag_text

    @property
    def path(self) -> str:
        return f"/{self.bucket}/{self.key}"

    def starts(self) -> list[int]:
        """Where each part begins in the plaintext, and where the last one ends."""
        ends = [0]
        for body in self.bodies:
            ends.append(ends[-1] + len(body))
        return ends

    def record(self, wire: Wire) -> str:
        """The name of its manifest."""
        name_key = wire.proxy.services.keys.for_reading().name_key
        return manifest_name(name_key, self.manifest_id, self.composite)


def bodies_of(sizes: Sequence[int]) -> list[bytes]:
    return [body_of(size, seed=index) for index, size in enumerate(sizes)]


def crc32(data: bytes) -> bytes:
    return zlib.crc32(data).to_bytes(4)


async def lay(
    wire: Wire,
    store: MemoryStore,
    bodies: Sequence[bytes],
    *,
    bucket: str = "data",
    key: str = "k",
    customer_key: bytes | None = None,
    numbers: Sequence[int] | None = None,
    composite: bool = True,
    one_piece: bool = False,
    checksum: bool = True,
) -> Multipart:
    """An object of these parts, and its manifest. checksum: CRC-32 of parts and object."""
    services = wire.proxy.services
    keyring = services.keys.for_writing()
    ak = keyring.ak(keyring.active_attribute)
    customer = customer_key and CustomerKey(Secret(customer_key), content_md5(customer_key))
    mode = SseMode.SSE_C if customer else SseMode.SSE_COS
    name, dek, data_id, salt = services.name(bucket, key), new_dek(), new_data_id(), new_salt()
    manifest_id = secrets.token_bytes(16)
    envelope = seal_envelope(
        upper=await services.keymaster.upper_key_for_write(mode, customer or None),
        keyring_id=keyring.id,
        ak_version=keyring.active_attribute,
        ak=ak,
        data_ak_version=keyring.active_attribute,
        data_id=data_id,
        dek=dek,
        salt=salt,
        part_salt=NO_PART_SALT,
        name=name,
        attributes=Attributes(
            manifest_id=manifest_id,
            verifier=verifier(customer.key, ak, salt) if customer else None,
        ),
    )
    parts, sealed, etags = [], [], []
    for number, body in zip(numbers or range(1, len(bodies) + 1), bodies, strict=True):
        header = Header(number, len(body), new_salt(), has_trailer=False)
        sealed.append(seal_whole(body, header, PartSealer(dek, data_id, header)))
        digest = crc32(body) if checksum else b""
        parts.append(ManifestPart(number, len(body), header.salt, digest))
        etags.append(
            random_part_etag(keyring.etag_key, data_id, header.salt)
            if customer
            else hashlib.md5(body).digest()
        )
    whole = crc32(b"".join(part.checksum for part in parts) if composite else b"".join(bodies))
    manifest = Manifest(
        name=name,
        data_id=data_id,
        etag=etags[0] if one_piece else composite_etag(etags),
        checksums={"crc32": whole} if checksum else {},
        composite=composite and checksum,
        one_piece=one_piece,
        part_checksum="crc32" if checksum else None,
        parts=tuple(parts),
    )
    of_store = composite_of([md5_hex(data) for data in sealed])
    stored = Stored(b"".join(sealed), {RESERVED: envelope.encode()}, store.now())
    stored.composite, stored.version_id = of_store, "null"
    store.buckets[bucket].versions[key] = [stored]
    made = Multipart(bucket, key, list(bodies), sealed, manifest, manifest_id, of_store)
    await services.manifests.write(manifest, manifest_id, of_store, keyring.active_attribute)
    return made


def drop_manifest(wire: Wire, store: MemoryStore, made: Multipart) -> Stored:
    """Take the manifest's record away; returns it."""
    (record,) = store.buckets[SYSTEM_BUCKET].versions.pop(made.record(wire))
    return record


def forget(wire: Wire) -> None:
    """As a worker that has just started."""
    wire.proxy.services.cache._entries.clear()
    wire.proxy.services.manifests._known.clear()
