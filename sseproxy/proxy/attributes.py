"""GetObjectAttributes: what HEAD knows of an encrypted object, and its parts, as S3's XML."""

from __future__ import annotations

import re
from collections.abc import Mapping

from aiohttp import web

from sseproxy.format.manifest import Manifest
from sseproxy.proxy.anonymous import refuse_encrypted
from sseproxy.proxy.cache import SealedObject
from sseproxy.proxy.exchange import Exchange
from sseproxy.proxy.get import admit_key, read_key
from sseproxy.proxy.lookup import look, sse_mode
from sseproxy.proxy.passthrough import passthrough
from sseproxy.proxy.policy import refuse_plaintext
from sseproxy.s3.checksums import checksum_headers
from sseproxy.s3.faults import Fault, S3Error
from sseproxy.s3.request import Dialect
from sseproxy.s3.xml import Content, Node, document

_ASKED = "x-amz-object-attributes"
_NAMES = frozenset({"ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize"})
_MAX_PARTS = 1000
_NUMBER = re.compile("[0-9]{1,10}")
_LARGEST_NUMBER = 2**31 - 1


async def get_object_attributes(exchange: Exchange) -> web.StreamResponse:
    """The attributes asked for in `x-amz-object-attributes`; the store's own for plaintext."""
    if exchange.anonymous:
        await refuse_encrypted(exchange, exchange.bucket, exchange.key)
        return await passthrough(exchange)
    customer = read_key(exchange)
    asked = _asked(exchange)
    most, marker = (
        _number(exchange, "max-parts", _MAX_PARTS),
        _number(exchange, "part-number-marker"),
    )
    version = exchange.head.query.get("versionId", "")
    seen = await look(
        exchange.services, exchange.credential, exchange.bucket, exchange.key, version
    )
    if seen.sealed is None:
        if seen.found:
            refuse_plaintext(exchange.policy)
        return await passthrough(exchange)
    state = seen.sealed
    exchange.mode = sse_mode(state.envelope)
    admit_key(exchange.services, state, customer)
    content: dict[str, Content] = {}
    if "ETag" in asked:
        content["ETag"] = state.attributes.etag_text
    if "Checksum" in asked and (checksum := _checksum(state)):
        content["Checksum"] = checksum
    if "ObjectParts" in asked and state.part_count is not None and state.manifest is not None:
        content["ObjectParts"] = _parts(state.manifest, most, marker)
    if "StorageClass" in asked:
        content["StorageClass"] = seen.headers.get("x-amz-storage-class", "STANDARD")
    if "ObjectSize" in asked:
        content["ObjectSize"] = str(state.plain_size)
    headers = {"content-type": "application/xml"}
    kept = ("last-modified", "x-amz-version-id")
    headers |= {name: seen.headers[name] for name in kept if name in seen.headers}
    return exchange.answer(200, headers, document("GetObjectAttributesResponse", content))


def _asked(exchange: Exchange) -> set[str]:
    """The names of the attributes. Raises S3Error (InvalidArgument) for none, or an unknown one."""
    text = exchange.head.headers.get(_ASKED, "")
    names = {name.strip() for name in text.split(",")} - {""}
    if not names or names - _NAMES:
        raise S3Error(
            Fault.InvalidArgument,
            "Invalid attribute name specified.",
            ArgumentName=_ASKED,
            ArgumentValue=text,
        )
    return names


def _number(exchange: Exchange, name: str, default: int = 0) -> int:
    """A header that pages the parts. Raises S3Error (InvalidArgument) for what is no number."""
    text = exchange.head.headers.get(f"x-amz-{name}")
    if text is None:
        return default
    if not _NUMBER.fullmatch(text) or int(text) > _LARGEST_NUMBER:
        raise S3Error(
            Fault.InvalidArgument,
            f"Argument {name} must be an integer between 0 and {_LARGEST_NUMBER}",
            ArgumentName=name,
            ArgumentValue=text,
        )
    return int(text)


def _checksum(state: SealedObject) -> dict[str, Node]:
    """The object's checksums; composite ones without the part count that HEAD adds, as S3's."""
    elements = _elements(state.attributes.checksums)
    if not elements:
        return {}
    composite = state.manifest is not None and state.manifest.composite
    return {**elements, "ChecksumType": "COMPOSITE" if composite else "FULL_OBJECT"}


def _parts(manifest: Manifest, most: int, marker: int) -> dict[str, Content]:
    """ObjectParts. S3 lists the parts only where the object's checksum is made of theirs."""
    count = {"PartsCount": str(len(manifest.parts))}
    algorithm = manifest.part_checksum
    if algorithm is None or not manifest.composite:
        return dict(count)
    after = [part for part in manifest.parts if part.number > marker]
    page = after[: min(most, _MAX_PARTS)]
    return {
        **count,
        "PartNumberMarker": str(marker),
        "NextPartNumberMarker": str(page[-1].number if page else marker),
        "MaxParts": str(most),
        "IsTruncated": "true" if len(page) < len(after) else "false",
        "Part": [
            {
                "PartNumber": str(part.number),
                "Size": str(part.plain_size),
                **_elements({algorithm: part.checksum}),
            }
            for part in page
        ],
    }


def _elements(checksums: Mapping[str, bytes]) -> dict[str, str]:
    """Checksums as elements: ChecksumCRC32 and its like."""
    return {
        "Checksum" + name.removeprefix("x-amz-checksum-").upper(): value
        for name, value in checksum_headers(checksums, Dialect.S3).items()
    }
