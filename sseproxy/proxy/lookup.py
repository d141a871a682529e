"""What an object is: its envelope opened, its size and ETag known, in one request to the store."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from sseproxy.errors import IntegrityError, StoreProtocolError
from sseproxy.format.attributes import Attributes
from sseproxy.format.envelope import Envelope, Mode, open_attributes, unwrap_dek
from sseproxy.format.header import HEADER_BYTES, Header
from sseproxy.format.layout import (
    TRAILER_BYTES,
    needs_trailer,
    object_header,
    sealed_object_size,
    sealed_part_size,
)
from sseproxy.format.names import ObjectName
from sseproxy.format.segments import part_cipher
from sseproxy.format.trailer import open_trailer
from sseproxy.proxy.cache import Opened, SealedObject
from sseproxy.proxy.exchange import Services
from sseproxy.s3.faults import Fault, S3Error
from sseproxy.s3.headers import RESERVED_METADATA
from sseproxy.s3.sse import CustomerKey, SseMode
from sseproxy.secret import Secret
from sseproxy.store.objects import StoreCredential

_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")
_SSE_MODES = {
    Mode.SSE_COS: SseMode.SSE_COS,
    Mode.SSE_KMS: SseMode.SSE_KMS,
    Mode.SSE_KMS_BUCKET: SseMode.SSE_KMS,
    Mode.SSE_C: SseMode.SSE_C,
}
SMALLEST_SEALED_BYTES = sealed_part_size(0)
_TAIL = {"range": f"bytes=-{TRAILER_BYTES}"}


def sse_mode(envelope: Envelope) -> SseMode:
    """The mode as clients and metrics name it."""
    return _SSE_MODES[envelope.mode]


def content_range(headers: Mapping[str, str]) -> tuple[int, int, int]:
    """(first, last, total) of a 206 answer. Raises StoreProtocolError for anything else."""
    match = _CONTENT_RANGE.fullmatch(headers.get("content-range", ""))
    if match is None:
        raise StoreProtocolError("the store's partial answer has no usable Content-Range")
    first, last, total = (int(text) for text in match.groups())
    return first, last, total


def part_header(state: SealedObject) -> Header:
    """The header a single-PUT object must begin with (docs/format.md 4.3, step 4)."""
    return object_header(state.plain_size, state.envelope.part_salt)


@dataclass(slots=True)
class Place:
    """Where an object lies, and as whom the store is asked for it. version: its id, or ""."""

    credential: StoreCredential | None
    bucket: str
    key: str
    version: str = ""


def open_envelope(
    services: Services, bucket: str, key: str, headers: Mapping[str, str], sealed_size: int
) -> SealedObject:
    """The object that an answer of the store describes, from its envelope alone.

    headers: the answer's; sealed_size: bytes of the whole stored object. What the trailer or the
    manifest says is still missing from the attributes (`with_trailer`, `with_manifest`). Raises
    FormatError, KeyUnavailable.
    """
    encoded = headers[RESERVED_METADATA]
    opened = _opened(services, services.name(bucket, key), encoded)
    state = SealedObject(
        encoded=encoded,
        envelope=opened.envelope,
        attributes=opened.attributes,
        store_etag=headers.get("etag", "").strip('"'),
        last_modified=headers.get("last-modified", ""),
        sealed_size=sealed_size,
    )
    wrong = (
        sealed_size < SMALLEST_SEALED_BYTES
        if state.is_multipart
        else sealed_size != sealed_object_size(state.plain_size)
    )
    if wrong:
        raise IntegrityError("size", "the stored size is not that of the sealed object")
    return state


def _opened(services: Services, name: ObjectName, encoded: str) -> Opened:
    epoch = services.keys.for_reading().epoch
    opened = services.opened.get(name, encoded, epoch)
    if opened is None:
        envelope = Envelope.decode(encoded)
        ak = services.keymaster.attribute_key(envelope)
        opened = Opened(envelope, open_attributes(envelope, ak, name))
        services.opened.put(name, encoded, opened)
    return opened


def _kept(services: Services, state: SealedObject, name: ObjectName) -> Opened | None:
    """Where the keys of an object may be kept: while its upper key is in the keyring itself."""
    if state.envelope.mode is not Mode.SSE_COS:
        return None
    return services.opened.get(name, state.encoded, services.keys.for_reading().epoch)


async def data_key(
    services: Services, state: SealedObject, customer: CustomerKey | None, name: ObjectName
) -> Secret:
    """The data key of an object: unwrapped, or kept from a read before.

    Raises CustomerKeyMissing, CustomerKeyWrong, KeyUnavailable, IntegrityError.
    """
    kept = _kept(services, state, name)
    if kept is not None and kept.dek is not None:
        return kept.dek
    envelope, attributes = state.envelope, state.attributes
    assert attributes.commitment is not None, "checked when the envelope was opened"
    upper = await services.keymaster.upper_key_for_read(envelope, attributes, customer)
    dek = unwrap_dek(envelope, upper, name, attributes.commitment)
    if kept is not None:
        kept.dek = dek
    return dek


async def object_cipher(
    services: Services, state: SealedObject, customer: CustomerKey | None, name: ObjectName
) -> AESGCM:
    """What opens the one part of a single PUT. Raises as `data_key`."""
    kept = _kept(services, state, name)
    if kept is not None and kept.cipher is not None:
        return kept.cipher
    dek = await data_key(services, state, customer, name)
    cipher = part_cipher(dek, state.envelope.data_id, part_header(state))
    if kept is not None:
        kept.cipher = cipher
    return cipher


def with_trailer(services: Services, state: SealedObject, trailer: bytes) -> SealedObject:
    """The object with ETag and checksums from its trailer. Raises IntegrityError."""
    ak = services.keymaster.data_attribute_key(state.envelope)
    tail = open_trailer(trailer, ak, state.envelope.data_id, part_header(state))
    return replace(state, attributes=state.attributes.merged(tail))


async def with_manifest(services: Services, place: Place, state: SealedObject) -> SealedObject:
    """The object with its manifest and what that says; any other object as it is.

    Raises IntegrityError (there is none, or not its own), FormatError, KeyUnavailable,
    StoreError; S3Error if the object was replaced meanwhile.
    """
    if not state.is_multipart or state.manifest is not None:
        return state

    async def read_header(offset: int) -> bytes:
        headers = {
            "if-match": f'"{state.store_etag}"',
            "range": f"bytes={offset}-{offset + HEADER_BYTES - 1}",
        }
        query = [("versionId", place.version)] if place.version else []
        response = await services.store.send(
            place.credential, "GET", place.bucket, place.key, query=query, headers=headers
        )
        async with response:
            if response.headers.get(RESERVED_METADATA) != state.encoded or response.status != 206:
                raise S3Error(Fault.ServiceUnavailable, "The object keeps changing; try again.")
            return await response.read(HEADER_BYTES)

    name = services.name(place.bucket, place.key)
    manifest = await services.manifests.find(state, name, read_header)
    # A remembered state has what the manifest said before; the envelope has none of it.
    of_envelope = replace(state.attributes, plain_size=None, etag=None, checksums={})
    said = Attributes(
        plain_size=manifest.plain_size, etag=manifest.etag, checksums=manifest.checksums
    )
    return replace(state, attributes=of_envelope.merged(said), manifest=manifest)


@dataclass(frozen=True, slots=True)
class Look:
    """An answer to a look at an object: `sealed` is None for plaintext and for errors.

    status, headers: the store's. body: of an error.
    """

    status: int
    headers: Mapping[str, str]
    sealed: SealedObject | None
    body: bytes = b""

    @property
    def found(self) -> bool:
        """There is an object; 416 is what an empty one answers to a look at its end."""
        return self.status in (200, 206, 416)


async def look(
    services: Services,
    credential: StoreCredential | None,
    bucket: str,
    key: str,
    version: str = "",
    *,
    query: list[tuple[str, str]] | None = None,
) -> Look:
    """One `GET bytes=-256`: headers and trailer together (docs/format.md, section 3.3).

    A multipart object costs its manifest too, unless that is remembered.

    query: further query items (response-* overrides). The result is remembered.
    """
    items = list(query or [])
    if version and not any(name == "versionId" for name, _ in items):
        items.append(("versionId", version))
    response = await services.store.send(credential, "GET", bucket, key, query=items, headers=_TAIL)
    async with response:
        headers = response.headers
        if response.status == 416:
            return await _look_at_empty(services, credential, bucket, key, version, items)
        if response.status >= 300:
            return Look(response.status, headers, None, await response.read())
        if RESERVED_METADATA not in headers:
            return Look(response.status, headers, None)
        if response.status != 206:
            raise StoreProtocolError("the store ignores ranges")
        total = content_range(headers)[2]
        state = open_envelope(services, bucket, key, headers, total)
        tail = await response.read(TRAILER_BYTES)  # wanted or not: read, it frees the connection
    if not state.is_multipart and needs_trailer(state.plain_size):
        state = with_trailer(services, state, tail)
    place = Place(credential, bucket, key, version)
    state = await with_manifest(services, place, state)
    services.cache.put(bucket, key, version, state)
    return Look(response.status, headers, state)


async def _look_at_empty(
    services: Services,
    credential: StoreCredential | None,
    bucket: str,
    key: str,
    version: str,
    query: list[tuple[str, str]],
) -> Look:
    """No range of it can be had: an empty plaintext object, or a sealed one cut to nothing."""
    response = await services.store.send(credential, "HEAD", bucket, key, query=query)
    async with response:
        if response.status != 200 or RESERVED_METADATA not in response.headers:
            return Look(416 if response.status == 200 else response.status, response.headers, None)
        # Raises for the size; if that can be right, the object is a new one, just written.
        open_envelope(services, bucket, key, response.headers, response.content_length or 0)
    return await look(services, credential, bucket, key, version, query=query)
