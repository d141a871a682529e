"""An object sealed again under another upper key: the same data key, fresh salts, a new envelope.

Nothing that a client knows of it changes. Each part is sealed under a fresh salt, so no key and
nonce meet twice, and the store's ETag changes with the envelope (docs/format.md, section 4).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

from sseproxy.errors import IntegrityError
from sseproxy.format.attributes import Attributes
from sseproxy.format.envelope import (
    NO_PART_SALT,
    Envelope,
    UpperKey,
    new_data_id,
    new_salt,
    seal_envelope,
    unwrap_dek,
)
from sseproxy.format.header import Header
from sseproxy.format.layout import object_header
from sseproxy.format.manifest import Manifest
from sseproxy.format.segments import PartSealer
from sseproxy.format.trailer import seal_trailer
from sseproxy.keys.model import Keyring
from sseproxy.proxy.buffers import BufferPool
from sseproxy.proxy.cache import SealedObject
from sseproxy.proxy.exchange import Exchange
from sseproxy.proxy.streams import seal_stream
from sseproxy.secret import Secret


@dataclass(frozen=True, slots=True)
class Resealed:
    """What is about to be written: of the size that is stored now."""

    envelope: Envelope
    headers: Sequence[Header]
    trailer: bytes
    dek: Secret
    buffers: BufferPool

    async def body(self, plain: AsyncIterator[memoryview]) -> AsyncIterator[bytes | memoryview]:
        """The sealed bytes. The last segment waits until all of `plain` was verified."""
        pieces, data_id = _Pieces(plain), self.envelope.data_id
        for index, header in enumerate(self.headers):
            last = index == len(self.headers) - 1
            trailer = self.trailer if last else b""
            sealed = seal_stream(
                pieces.take(header.plain_length, last=last),
                header,
                PartSealer(self.dek, data_id, header),
                partial(bytes, trailer),
                self.buffers,
            )
            async for view in sealed:
                if view:
                    yield view


async def reseal(
    exchange: Exchange, state: SealedObject, upper: UpperKey, keyring: Keyring, key_id: str
) -> Resealed:
    """Prepare it for the same name; the manifest of a multipart object is written here.

    key_id: the KMS key as the client is told it. Raises KeyUnavailable, IntegrityError,
    StoreError.
    """
    old, services, attributes = state.envelope, exchange.services, state.attributes
    assert attributes.commitment is not None, "checked when the envelope was opened"
    upper_of_source = await services.keymaster.upper_key_for_read(old, attributes, None)
    dek = unwrap_dek(old, upper_of_source, exchange.name, attributes.commitment)
    version = keyring.active_attribute
    ak = keyring.ak(version)
    digests = Attributes(etag=attributes.etag, checksums=attributes.checksums)
    if state.manifest is not None:
        manifest_id, manifest = new_data_id(), _with_fresh_salts(state.manifest)
        await services.manifests.write(manifest, manifest_id, state.store_etag, version)
        headers = [manifest.header(index) for index in range(len(manifest.parts))]
        part_salt, trailer = NO_PART_SALT, b""
        written = Attributes(manifest_id=manifest_id, key_id=key_id)
    else:
        header = object_header(state.plain_size, new_salt())
        headers, part_salt = [header], header.salt
        written = Attributes(plain_size=state.plain_size, key_id=key_id)
        trailer = b""
        if header.has_trailer:
            trailer = seal_trailer(digests, ak, old.data_id, header)
        else:
            written = written.merged(digests)
    envelope = seal_envelope(
        upper=upper,
        keyring_id=keyring.id,
        ak_version=version,
        ak=ak,
        data_ak_version=version,
        data_id=old.data_id,
        dek=dek,
        salt=new_salt(),
        part_salt=part_salt,
        name=exchange.name,
        attributes=written,
    )
    return Resealed(envelope, headers, trailer, dek, services.buffers)


def _with_fresh_salts(manifest: Manifest) -> Manifest:
    parts = tuple(replace(part, salt=new_salt()) for part in manifest.parts)
    return replace(manifest, parts=parts)


class _Pieces:
    """One plaintext, taken part by part."""

    def __init__(self, plain: AsyncIterator[memoryview]) -> None:
        self._plain = plain
        self._rest = memoryview(b"")

    async def take(self, length: int, *, last: bool) -> AsyncIterator[memoryview]:
        """The next `length` bytes. last: they are the end, which is verified before this ends."""
        while length:
            if not self._rest:
                self._rest = await self._following()
            piece = self._rest[:length]
            self._rest = self._rest[length:]
            length -= len(piece)
            yield piece
        if last:
            async for _ in self._plain:
                raise AssertionError("the plaintext is longer than its parts")

    async def _following(self) -> memoryview:
        try:
            return await anext(self._plain)
        except StopAsyncIteration:
            raise IntegrityError("truncated", "the stored object ends too early") from None
