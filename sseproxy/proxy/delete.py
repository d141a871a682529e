"""DeleteObject and DeleteObjects: conditions are about the object as the client sees it.

They are judged here, on a look at the object, and sent on in the terms of what is stored, so
that they are as atomic as the store makes them.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from aiohttp import web
from lxml import etree

from sseproxy.proxy.anonymous import refuse_encrypted
from sseproxy.proxy.answer import quoted, relay
from sseproxy.proxy.body import ClientBody, read_whole
from sseproxy.proxy.exchange import Exchange
from sseproxy.proxy.lookup import Look, look
from sseproxy.proxy.passthrough import forward
from sseproxy.proxy.pinning import client_etag, client_size
from sseproxy.proxy.store_error import store_error
from sseproxy.s3.conditions import Conditions, Outcome, evaluate, parse_http_date
from sseproxy.s3.faults import Fault, S3Error, xml_text
from sseproxy.s3.headers import forwarded_request_headers, without_digests
from sseproxy.s3.xml import DeleteItem, delete_request, document, parse_delete
from sseproxy.store.answers import parse_xml

# 1,000 keys of 1,024 bytes, each byte an XML character reference, and their version ids.
_LIMIT_BYTES = 8 * 1024 * 1024
_SIZE = "x-amz-if-match-size"
_TIME = "x-amz-if-match-last-modified-time"


async def delete_object(exchange: Exchange) -> web.StreamResponse:
    """DELETE, with `If-Match`, `x-amz-if-match-size` and `x-amz-if-match-last-modified-time`."""
    headers = exchange.head.headers
    asked = DeleteItem(
        key=exchange.key,
        version_id=exchange.head.query.get("versionId"),
        etag=headers.get("if-match"),
        last_modified=headers.get(_TIME),
        size=headers.get(_SIZE),
    )
    pinned: dict[str, str] = {}
    if _conditional(asked) and exchange.anonymous:
        # At the store the condition would tell of ciphertext.
        await refuse_encrypted(exchange, exchange.bucket, exchange.key)
    elif _conditional(asked):
        stored = await _in_terms_of_the_store(exchange, asked)
        if stored.etag not in (None, asked.etag):
            pinned["if-match"] = quoted(stored.etag)
        if stored.size is not None:
            pinned[_SIZE] = stored.size
    response = await forward(exchange, pinned)
    exchange.services.cache.drop(exchange.bucket, exchange.key)
    return await relay(exchange, response)


async def delete_objects(exchange: Exchange) -> web.StreamResponse:
    """DeleteObjects: the keys in its body are held to the rules of keys in a path.

    Objects whose conditions don't hold are left out of what the store is asked for, and
    reported with its answer.
    """
    body = ClientBody(exchange)
    if body.length > _LIMIT_BYTES:
        raise S3Error(Fault.MaxMessageLengthExceeded)
    sent = await read_whole(body)
    asked = parse_delete(sent)
    for item in asked.items:
        exchange.services.store_limits.check_key(item.key)
    headers = forwarded_request_headers(exchange.head.headers) | body.trailer_headers()
    refused: list[tuple[DeleteItem, S3Error]] = []
    conditional = any(map(_conditional, asked.items))
    if conditional and exchange.anonymous:
        raise exchange.anonymous_denied()
    if conditional:
        items, refused = await _judge_all(exchange, asked.items)
        if not items:
            return exchange.answer(200, {"content-type": "application/xml"}, _report(None, refused))
        sent = delete_request(items, quiet=asked.quiet)
        digest = hashlib.md5(sent, usedforsecurity=False).digest()
        headers = without_digests(headers) | {"content-md5": base64.b64encode(digest).decode()}
    response = await exchange.send("POST", headers, body=sent)
    for item in asked.items:
        exchange.services.cache.drop(exchange.bucket, item.key)
    if not refused or response.status != 200:
        return await relay(exchange, response)
    async with response:
        report = _report(await response.read(), refused)
    return exchange.answer(200, {"content-type": "application/xml"}, report)


async def _judge_all(
    exchange: Exchange, items: Sequence[DeleteItem]
) -> tuple[list[DeleteItem], list[tuple[DeleteItem, S3Error]]]:
    """What to ask of the store, and what is refused here."""
    limit = asyncio.Semaphore(exchange.services.limits.listing_looks)

    async def judge(item: DeleteItem) -> DeleteItem | S3Error:
        if not _conditional(item):
            return item
        async with limit:
            try:
                return await _in_terms_of_the_store(exchange, item)
            except S3Error as error:
                return error

    verdicts = await asyncio.gather(*(judge(item) for item in items))
    passed = [verdict for verdict in verdicts if isinstance(verdict, DeleteItem)]
    refused = [
        (item, verdict)
        for item, verdict in zip(items, verdicts, strict=True)
        if isinstance(verdict, S3Error)
    ]
    return passed, refused


async def _in_terms_of_the_store(exchange: Exchange, item: DeleteItem) -> DeleteItem:
    """The item with its conditions on the stored object, once they hold on the client's.

    An ETag of "*" is left out: that there is an object was seen.
    Raises S3Error: PreconditionFailed, NoSuchKey where an ETag is asked of no object,
    InvalidArgument for a malformed condition, NotImplemented with a version id, as S3 has it.
    """
    size, modified = _parse_size(item.size), _parse_time(item.last_modified)
    if item.version_id:
        raise S3Error(
            Fault.NotImplemented, "Conditions on a delete are about the current version only."
        )
    seen = await look(exchange.services, exchange.credential, exchange.bucket, item.key)
    if seen.status == 404 and item.etag is None:
        return item  # S3: size and time hold for an object that is not there
    if not seen.found:
        raise store_error(seen.status, seen.body)
    if (
        not _etag_holds(item.etag, seen)
        or (size is not None and size != client_size(seen))
        or (modified is not None and modified != parse_http_date(seen.headers.get("last-modified")))
    ):
        raise S3Error(Fault.PreconditionFailed)
    etag = None if item.etag is None or item.etag.strip() == "*" else item.etag
    if seen.sealed is None:
        return replace(item, etag=etag)
    return replace(
        item,
        etag=None if etag is None else seen.sealed.store_etag,
        size=None if size is None else str(seen.sealed.sealed_size),
    )


def _conditional(item: DeleteItem) -> bool:
    return any(value is not None for value in (item.etag, item.last_modified, item.size))


def _etag_holds(etag: str | None, seen: Look) -> bool:
    asked = Conditions(if_match=etag)
    return evaluate(asked, client_etag(seen), None, reading=False) is Outcome.PROCEED


def _parse_size(text: str | None) -> int | None:
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 19):
        raise S3Error(Fault.InvalidArgument, "A size is a number of bytes.", ArgumentName="Size")
    return int(text)


def _parse_time(text: str | None) -> datetime | None:
    """A time of either form that clients use, in UTC and whole seconds, as HTTP tells it."""
    if text is None:
        return None
    moment = parse_http_date(text)
    if moment is None:
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            name = "LastModifiedTime"
            raise S3Error(Fault.InvalidArgument, "Not a time.", ArgumentName=name) from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return moment.astimezone(UTC).replace(microsecond=0)


def _report(answered: bytes | None, refused: Sequence[tuple[DeleteItem, S3Error]]) -> bytes:
    """The DeleteResult: the store's, if it was asked, and an Error for each object refused."""
    root = parse_xml(document("DeleteResult", {}) if answered is None else answered.strip())
    namespace = etree.QName(root).namespace
    for item, error in refused:
        element = etree.SubElement(root, etree.QName(namespace, "Error"))
        texts = {"Key": item.key, "VersionId": item.version_id or ""}
        texts |= {"Code": error.code, "Message": error.message}
        for name, text in texts.items():
            if text:
                etree.SubElement(element, etree.QName(namespace, name)).text = xml_text(text)
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8")
