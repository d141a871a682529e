"""UpdateObjectEncryption (`PUT /key?encryption`): another key for an object, nothing else new.

A store can't replace metadata without a copy, and a copy onto itself loses a racing write. So
the object is read, sealed again and written with `If-Match`: whoever writes in between wins, and
the update begins anew with what they wrote.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from aiohttp import web

from sseproxy.errors import KeyUnavailable
from sseproxy.format.envelope import UpperKey
from sseproxy.keys.model import Keyring
from sseproxy.proxy.answer import relay
from sseproxy.proxy.body import ClientBody, read_whole
from sseproxy.proxy.cache import SealedObject
from sseproxy.proxy.copy_body import MAX_COPY_BYTES
from sseproxy.proxy.copy_source import CopySource, is_metadata, open_source, tags_of
from sseproxy.proxy.exchange import Exchange
from sseproxy.proxy.lookup import Look, look, sse_mode
from sseproxy.proxy.plaintext import open_plaintext
from sseproxy.proxy.policy import refuse_plaintext
from sseproxy.proxy.reseal import reseal
from sseproxy.proxy.store_error import store_error
from sseproxy.s3.faults import Fault, S3Error
from sseproxy.s3.headers import RESERVED_METADATA
from sseproxy.s3.sse import SseMode
from sseproxy.s3.xml import children, parse_client_xml, text_of

_LIMIT_BYTES = 64 * 1024
_ATTEMPTS = 5
_KEY_ARN = re.compile(r"arn:[\w-]+:kms:[\w-]*:[\w-]*:key/[\w/.-]{1,256}", re.ASCII)
_KEPT = ("x-amz-storage-class", "x-amz-website-redirect-location")
_OPERATION = "The UpdateObjectEncryption operation doesn't support "
_SUPPORTED = " Only source objects encrypted with SSE-S3 or SSE-KMS are supported."
_LOST_RACE = (404, 409, 412)


@dataclass(frozen=True, slots=True)
class NewEncryption:
    """What a request asks for. bucket_key: None if not said."""

    key_arn: str
    bucket_key: bool | None


async def update_object_encryption(exchange: Exchange) -> web.StreamResponse:
    """From SSE-S3 or SSE-KMS to an SSE-KMS key; ETag, checksums, metadata and tags stay."""
    if exchange.anonymous:
        raise exchange.anonymous_denied()
    if exchange.signature_version != 4:
        raise _invalid(
            "Requests that modify an object encryption configuration require AWS Signature "
            "Version 4."
        )
    body = ClientBody(exchange)
    if body.length > _LIMIT_BYTES:
        raise S3Error(Fault.MaxMessageLengthExceeded)
    asked = parse_object_encryption(await read_whole(body))
    exchange.policy.check_allowed(SseMode.SSE_KMS)
    for _ in range(_ATTEMPTS):
        answer = await _attempt(exchange, asked)
        if answer is not None:
            return answer
    raise S3Error(Fault.ServiceUnavailable, "The object keeps changing; try again.")


def parse_object_encryption(document: bytes) -> NewEncryption:
    """The body of the request. Raises S3Error: MalformedXML, InvalidRequest in S3's words."""
    root = parse_client_xml(document, "ObjectEncryption")
    kinds = [element for element in root if isinstance(element.tag, str)]
    chosen = next(children(root, "SSE-KMS"), None)
    if chosen is None or len(kinds) != 1:
        raise _invalid(
            "Requests that modify an object encryption configuration require a valid new "
            "encryption type. Valid values are SSEKMS."
        )
    subject = "Requests that modify an object's encryption type to SSE-KMS require "
    arn = (text_of(chosen, "KMSKeyArn") or "").strip()
    if not arn:
        raise _invalid(f"{subject}an AWS KMS key Amazon Resource Name (ARN).")
    if not _KEY_ARN.fullmatch(arn):
        raise _invalid(f"{subject}a valid AWS KMS key Amazon Resource Name (ARN).")
    said = text_of(chosen, "BucketKeyEnabled")
    bucket_key = None if said is None else {"true": True, "false": False}.get(said.strip().lower())
    if said is not None and bucket_key is None:
        raise _invalid("The BucketKeyEnabled value isn't valid. Valid values are true or false.")
    return NewEncryption(arn, bucket_key)


async def _attempt(exchange: Exchange, asked: NewEncryption) -> web.StreamResponse | None:
    """One try; None if another write came in between."""
    seen = await _look(exchange)
    state = _updatable(exchange, seen)
    keyring = exchange.services.keys.for_writing()
    upper = await _upper_key(exchange, keyring)
    source = CopySource(exchange.bucket, exchange.key, "")
    tags = await tags_of(exchange, source)
    try:
        stored = await open_source(exchange, source, seen, None)
    except S3Error:
        return None
    async with stored:
        resealed = await reseal(exchange, state, upper, keyring, asked.key_arn)
        headers = _kept_headers(seen.headers)
        headers[RESERVED_METADATA] = resealed.envelope.encode()
        headers["if-match"] = seen.headers["etag"]
        if tags is not None:
            headers["x-amz-tagging"] = tags
        exchange.services.store_limits.check_metadata(headers)
        plain = open_plaintext(exchange, stored, state, None, None)
        response = await exchange.send(
            "PUT",
            headers,
            query=[],
            body=resealed.body(plain),
            content_length=state.sealed_size,
        )
    exchange.services.cache.drop(exchange.bucket, exchange.key)
    exchange.mode = SseMode.SSE_KMS
    async with response:
        if response.status in _LOST_RACE:
            return None
        if response.status != 200:
            return await relay(exchange, response)
        await response.read()
    return exchange.answer(200)


async def _look(exchange: Exchange) -> Look:
    """The object, which must be the current one: a version that is not can't be replaced."""
    services, credential = exchange.services, exchange.credential
    seen = await look(services, credential, exchange.bucket, exchange.key)
    version = exchange.head.query.get("versionId")
    if version and version != seen.headers.get("x-amz-version-id", "null"):
        named = await look(services, credential, exchange.bucket, exchange.key, version)
        if named.found:
            raise S3Error(
                Fault.NotImplemented,
                "Only the current version of an object can be given another encryption.",
            )
        seen = named
    if not seen.found:
        raise store_error(seen.status, seen.body)
    return seen


def _updatable(exchange: Exchange, seen: Look) -> SealedObject:
    """The object's state. Raises S3Error for one that this operation is not for."""
    state = seen.sealed
    if state is None:
        refuse_plaintext(exchange.policy)
        raise _invalid(f"{_OPERATION}unencrypted source objects.{_SUPPORTED}")
    if sse_mode(state.envelope) is SseMode.SSE_C:
        raise _invalid(f"{_OPERATION}source objects with the encryption type SSE-C.{_SUPPORTED}")
    if _is_locked(seen.headers, exchange.services.clock()):
        raise S3Error(
            Fault.AccessDenied,
            "The encryption type for the specified object can't be updated because that object is "
            "protected by S3 Object Lock.",
        )
    if state.plain_size > MAX_COPY_BYTES:
        raise S3Error(
            Fault.NotImplemented,
            f"Only objects of up to {MAX_COPY_BYTES} bytes can be given another encryption: "
            "the store can't replace a larger one in one conditional write.",
        )
    return state


def _is_locked(headers: Mapping[str, str], now: datetime) -> bool:
    if headers.get("x-amz-object-lock-legal-hold", "").upper() == "ON":
        return True
    until = headers.get("x-amz-object-lock-retain-until-date")
    if until is None:
        return False
    try:
        moment = datetime.fromisoformat(until)
    except ValueError:
        return True  # a lock whose end is not understood has not ended
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) > now


async def _upper_key(exchange: Exchange, keyring: Keyring) -> UpperKey:
    try:
        return await exchange.services.keymaster.upper_key_for_write(
            SseMode.SSE_KMS, None, keyring=keyring
        )
    except KeyUnavailable as error:
        raise S3Error(Fault.NotImplemented, "SSE-KMS: no KMS is configured.") from error


def _kept_headers(headers: Mapping[str, str]) -> dict[str, str]:
    return {n: v for n, v in headers.items() if is_metadata(n) or n in _KEPT}


def _invalid(message: str) -> S3Error:
    return S3Error(Fault.InvalidRequest, message)
