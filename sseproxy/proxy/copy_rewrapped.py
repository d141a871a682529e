"""A copy that the store makes of the sealed bytes, with an envelope anew for the new name."""

from __future__ import annotations

from dataclasses import replace

from aiohttp import web

from sseproxy.format.attributes import Attributes
from sseproxy.format.envelope import (
    Envelope,
    new_data_id,
    new_salt,
    open_attributes,
    seal_envelope,
    unwrap_dek,
)
from sseproxy.proxy.answer import quoted, relay
from sseproxy.proxy.cache import SealedObject
from sseproxy.proxy.copy_answer import copied
from sseproxy.proxy.copy_body import checksum_elements
from sseproxy.proxy.copy_source import HEADER, CopySource, SourceChanged, copied_headers
from sseproxy.proxy.copy_stream import Copy
from sseproxy.proxy.exchange import Exchange
from sseproxy.proxy.store_error import success_of
from sseproxy.s3.headers import RESERVED_METADATA
from sseproxy.s3.sse import SseMode
from sseproxy.store.answers import text


async def rewrapped_copy(exchange: Exchange, copy: Copy, state: SealedObject) -> web.StreamResponse:
    """The store copies the sealed bytes; data id, parts, ETag and checksums stay the source's."""
    headers = copied_headers(exchange, copy.seen, copy.directives)
    headers["x-amz-metadata-directive"] = "REPLACE"
    headers[HEADER] = copy.source.encoded
    headers[f"{HEADER}-if-match"] = quoted(state.store_etag)
    for name in ("x-amz-tagging-directive", "x-amz-tagging"):
        if name in exchange.head.headers:
            headers[name] = exchange.head.headers[name]
    envelope = await _rewrapped(exchange, copy.source, state)
    headers[RESERVED_METADATA] = envelope.encode()
    exchange.services.store_limits.check_metadata(headers)
    response = await exchange.send("PUT", headers, query=[], body=b"")
    async with response:
        if response.status == 412:
            raise SourceChanged  # nothing else was asked
        if response.status != 200:
            return await relay(exchange, response)
        body = await response.read()
    return copied(
        exchange,
        response.headers,
        copy.seen,
        etag=state.attributes.etag_text,
        mode=SseMode.SSE_COS,
        customer=None,
        last_modified=text(success_of(body, "CopyObjectResult"), "LastModified"),
        checksums=_elements(exchange, state),
    )


async def _rewrapped(exchange: Exchange, source: CopySource, state: SealedObject) -> Envelope:
    """The source's data key under the active master key and the new name; data id unchanged."""
    services, old = exchange.services, state.envelope
    keyring = services.keys.for_writing()
    name = services.name(source.bucket, source.key)
    attributes = open_attributes(old, services.keymaster.attribute_key(old), name)
    upper_of_source = await services.keymaster.upper_key_for_read(old, attributes, None)
    commitment = attributes.commitment
    assert commitment is not None, "checked when the envelope was opened"
    upper = await services.keymaster.upper_key_for_write(SseMode.SSE_COS, None, keyring=keyring)
    return seal_envelope(
        upper=upper,
        keyring_id=keyring.id,
        ak_version=keyring.active_attribute,
        ak=keyring.ak(keyring.active_attribute),
        data_ak_version=old.data_ak_version,
        data_id=old.data_id,
        dek=unwrap_dek(old, upper_of_source, name, commitment),
        salt=new_salt(),
        part_salt=old.part_salt,
        name=exchange.name,
        attributes=await _with_own_manifest(exchange, state, attributes),
    )


async def _with_own_manifest(
    exchange: Exchange, state: SealedObject, attributes: Attributes
) -> Attributes:
    """The attributes of the copy; for a multipart object with a manifest of the copy's own.

    It is written before the object that names it exists. If that then never does, gc finds it.
    """
    if state.manifest is None:
        return attributes
    manifest_id = new_data_id()
    # Stores that keep the ETag of what they copy make this its very name; others leave it the
    # only one under its id.
    await exchange.services.manifests.write(
        replace(state.manifest, name=exchange.name),
        manifest_id,
        state.store_etag,
        state.envelope.data_ak_version,
    )
    return replace(attributes, manifest_id=manifest_id)


def _elements(exchange: Exchange, state: SealedObject) -> dict[str, str]:
    manifest = state.manifest
    composite = manifest is not None and manifest.composite
    parts = len(manifest.parts) if manifest is not None and composite else None
    return checksum_elements(exchange, state.attributes.checksums, parts=parts)
