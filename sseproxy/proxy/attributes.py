"""GetObjectAttributes: what HEAD knows of an encrypted object, as S3's XML."""

from __future__ import annotations

from aiohttp import web

from sseproxy.proxy.anonymous import refuse_encrypted
from sseproxy.proxy.cache import SealedObject
from sseproxy.proxy.exchange import Exchange
from sseproxy.proxy.get import admit_key, read_key
from sseproxy.proxy.lookup import look
from sseproxy.proxy.passthrough import passthrough
from sseproxy.proxy.policy import refuse_plaintext
from sseproxy.s3.checksums import checksum_headers
from sseproxy.s3.request import Dialect
from sseproxy.s3.xml import document


async def get_object_attributes(exchange: Exchange) -> web.StreamResponse:
    """The attributes asked for in `x-amz-object-attributes`; the store's own for plaintext."""
    if exchange.anonymous:
        await refuse_encrypted(exchange, exchange.bucket, exchange.key)
        return await passthrough(exchange)
    customer = read_key(exchange)
    version = exchange.head.query.get("versionId", "")
    seen = await look(
        exchange.services, exchange.credential, exchange.bucket, exchange.key, version
    )
    if seen.sealed is None:
        if seen.found:
            refuse_plaintext(exchange.policy)
        return await passthrough(exchange)
    admit_key(exchange.services, seen.sealed, customer)
    asked = {
        name.strip() for name in exchange.head.headers.get("x-amz-object-attributes", "").split(",")
    }
    headers = {"content-type": "application/xml"}
    for name in ("last-modified", "x-amz-version-id"):
        if name in seen.headers:
            headers[name] = seen.headers[name]
    storage_class = seen.headers.get("x-amz-storage-class", "STANDARD")
    return exchange.answer(200, headers, _document(seen.sealed, asked, storage_class))


def _document(state: SealedObject, asked: set[str], storage_class: str) -> bytes:
    content: dict[str, str | dict[str, str]] = {}
    if "ETag" in asked:
        content["ETag"] = state.attributes.etag_text or ""
    checksums = checksum_headers(state.attributes.checksums, Dialect.S3)
    if "Checksum" in asked and checksums:
        named = {
            "Checksum" + name.removeprefix("x-amz-checksum-").upper(): value
            for name, value in checksums.items()
        }
        content["Checksum"] = named | {"ChecksumType": "FULL_OBJECT"}
    if "StorageClass" in asked:
        content["StorageClass"] = storage_class
    if "ObjectSize" in asked:
        content["ObjectSize"] = str(state.plain_size)
    return document("GetObjectAttributesResponse", content)
