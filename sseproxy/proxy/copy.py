"""CopyObject and UploadPartCopy between every pair of encryption modes.

Three ways, in order of cost: the store copies plaintext by itself; the store copies ciphertext
and the data key is wrapped anew for the new name; the data is streamed through, opened and
sealed afresh. Whatever is copied is pinned to the ETag that was looked at.
"""

from __future__ import annotations

from aiohttp import web

from sseproxy.format.envelope import (
    Envelope,
    Mode,
    new_salt,
    open_attributes,
    seal_envelope,
    unwrap_dek,
)
from sseproxy.proxy.anonymous import refuse_encrypted
from sseproxy.proxy.answer import quoted, relay, sse_headers
from sseproxy.proxy.cache import SealedObject
from sseproxy.proxy.copy_source import (
    HEADER,
    CopySource,
    copied_headers,
    last_modified_of,
    parse_copy_source,
)
from sseproxy.proxy.copy_stream import stream_copy
from sseproxy.proxy.exchange import Exchange
from sseproxy.proxy.get import admit_key
from sseproxy.proxy.lookup import Look, look
from sseproxy.proxy.passthrough import forward, plain_multipart
from sseproxy.proxy.policy import refuse_plaintext
from sseproxy.s3 import sse
from sseproxy.s3.conditions import Outcome, evaluate, parse_conditions, parse_http_date
from sseproxy.s3.faults import Fault, S3Error
from sseproxy.s3.headers import RESERVED_METADATA, forwarded_response_headers
from sseproxy.s3.sse import SseMode
from sseproxy.s3.xml import copy_result

_SOURCE_CONDITIONS = "x-amz-copy-source-"
_ILLEGAL = (
    "This copy request is illegal because it is trying to copy an object to itself without "
    "changing the object's metadata, storage class, website redirect location or encryption "
    "attributes."
)


async def copy_object(exchange: Exchange) -> web.StreamResponse:
    """CopyObject: the target's mode is its own header's or bucket's, never the source's."""
    services, headers = exchange.services, exchange.head.headers
    source = parse_copy_source(exchange)
    secure, insecure = exchange.head.secure, services.allow_insecure_ssec
    asked = sse.parse_write(headers, secure=secure, allow_insecure_ssec=insecure)
    source_key = sse.parse_copy_source(headers, secure=secure, allow_insecure_ssec=insecure)
    mode = exchange.policy.mode_of_write(asked)
    if exchange.anonymous:
        await refuse_encrypted(exchange, source.bucket, source.key, source.version)
        if mode is not SseMode.NONE:
            raise exchange.anonymous_denied()
        return await relay(exchange, await forward(exchange, {HEADER: source.encoded}))
    seen = await look(services, exchange.credential, source.bucket, source.key, source.version)
    if not seen.found:
        return exchange.answer(seen.status, {"content-type": "application/xml"}, seen.body)
    _check_source(exchange, source, seen)
    to_itself = source.is_target(exchange)
    if seen.sealed is not None:
        admit_key(services, seen.sealed, source_key)
        if to_itself and not _changes(exchange, seen.sealed, mode):
            raise S3Error(Fault.InvalidRequest, _ILLEGAL)
    elif source_key is not None:
        raise S3Error(Fault.InvalidRequest, "The source object has no customer key.")
    if not ("if-match" in headers or "if-none-match" in headers):
        if seen.sealed is None and mode is SseMode.NONE:
            return await _store_copy(exchange, source, seen)
        if seen.sealed is not None and not to_itself and _under_master_key(seen.sealed, mode):
            return await _rewrapped_copy(exchange, source, seen, seen.sealed)
    return await stream_copy(exchange, source, seen, mode, asked.customer, source_key)


async def upload_part_copy(exchange: Exchange) -> web.StreamResponse:
    """UploadPartCopy into an upload that is not encrypted, from a source that isn't either."""
    source = parse_copy_source(exchange)
    if exchange.anonymous:
        await refuse_encrypted(exchange, source.bucket, source.key, source.version)
        return await plain_multipart(exchange)
    seen = await look(
        exchange.services, exchange.credential, source.bucket, source.key, source.version
    )
    if seen.sealed is not None:
        raise S3Error(
            Fault.NotImplemented, "Copying from an encrypted object is not implemented for parts."
        )
    if seen.found:
        refuse_plaintext(exchange.services.policies.of(source.bucket))
    return await plain_multipart(exchange)


def _check_source(exchange: Exchange, source: CopySource, seen: Look) -> None:
    """The rule of the source's bucket, and the conditions on the source's own ETag."""
    if seen.sealed is None:
        refuse_plaintext(exchange.services.policies.of(source.bucket))
    asked = parse_conditions(exchange.head.headers, _SOURCE_CONDITIONS)
    if not asked:
        return
    etag = seen.headers.get("etag", "").strip('"')
    if seen.sealed is not None:
        etag = seen.sealed.attributes.etag_text or ""
    modified = parse_http_date(seen.headers.get("last-modified", ""))
    if evaluate(asked, etag, modified, reading=False) is not Outcome.PROCEED:
        raise S3Error(Fault.PreconditionFailed)


def _changes(exchange: Exchange, state: SealedObject, mode: SseMode) -> bool:
    """Whether a copy of an encrypted object onto itself changes anything."""
    headers = exchange.head.headers
    return (
        headers.get("x-amz-metadata-directive", "COPY").upper() == "REPLACE"
        or "x-amz-storage-class" in headers
        or "x-amz-website-redirect-location" in headers
        or any(sse.is_sse_header(name) for name in headers)
        or (state.envelope.mode is Mode.SSE_COS) != (mode is SseMode.SSE_COS)
    )


def _under_master_key(state: SealedObject, mode: SseMode) -> bool:
    """Both ends are SSE-COS: the data key can be wrapped anew without the data."""
    return mode is SseMode.SSE_COS and state.envelope.mode is Mode.SSE_COS


async def _store_copy(exchange: Exchange, source: CopySource, seen: Look) -> web.StreamResponse:
    """Plaintext to plaintext: the store's own copy, of the bytes that were looked at."""
    etag = seen.headers.get("etag")
    pin = {HEADER: source.encoded}  # as it was understood here, not as a store might
    if etag:
        pin[f"{_SOURCE_CONDITIONS}if-match"] = etag
    return await relay(exchange, await forward(exchange, pin))


async def _rewrapped_copy(
    exchange: Exchange, source: CopySource, seen: Look, state: SealedObject
) -> web.StreamResponse:
    """The store copies the sealed bytes; only the envelope is written anew, for the new name."""
    headers = copied_headers(exchange, seen)
    headers["x-amz-metadata-directive"] = "REPLACE"
    headers["x-amz-copy-source"] = source.encoded
    headers[f"{_SOURCE_CONDITIONS}if-match"] = quoted(state.store_etag)
    for name in ("x-amz-tagging-directive", "x-amz-tagging"):
        if name in exchange.head.headers:
            headers[name] = exchange.head.headers[name]
    envelope = await _rewrapped(exchange, source, state)
    headers[RESERVED_METADATA] = envelope.encode()
    exchange.services.store_limits.check_metadata(headers)
    response = await exchange.send("PUT", headers, query=[], body=b"")
    async with response:
        if response.status != 200:
            return await relay(exchange, response)
        body = await response.read()
    last_modified = last_modified_of(body)
    if last_modified is None:
        # S3 may answer 200 and only then fail: the error is the body.
        return exchange.answer(200, {"content-type": "application/xml"}, body)
    answer = forwarded_response_headers(response.headers)
    answer.update(sse_headers(exchange, SseMode.SSE_COS, None))
    answer["content-type"] = "application/xml"
    answer.pop("etag", None)
    etag = state.attributes.etag_text or ""
    return exchange.answer(200, answer, copy_result(etag, last_modified))


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
        attributes=attributes,
    )
