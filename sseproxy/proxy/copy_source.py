"""The source of a copy: what the request names, and what a copy takes over from it."""

from __future__ import annotations

from dataclasses import dataclass

from lxml import etree

from sseproxy.errors import StoreProtocolError
from sseproxy.proxy.exchange import Exchange
from sseproxy.proxy.lookup import Look
from sseproxy.s3.faults import Fault, S3Error
from sseproxy.s3.headers import forwarded_request_headers, is_reserved, without_digests
from sseproxy.s3.request import encode_key, encode_query
from sseproxy.store.answers import parse_xml, text

HEADER = "x-amz-copy-source"
_TAG_ERRORS_IGNORED = (404, 405, 501)
# What S3 calls system metadata that a copy takes over, and a REPLACE directive replaces.
_METADATA = (
    "content-type",
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "expires",
)


@dataclass(frozen=True, slots=True)
class CopySource:
    """An object named by `x-amz-copy-source`. version: its version id, or ""."""

    bucket: str
    key: str
    version: str

    @property
    def encoded(self) -> str:
        """The header's value for the store."""
        path = f"/{encode_key(self.bucket)}/{encode_key(self.key)}"
        return f"{path}?{encode_query([('versionId', self.version)])}" if self.version else path

    def is_target(self, exchange: Exchange) -> bool:
        """The copy replaces the very object that it reads."""
        return (self.bucket, self.key) == (exchange.bucket, exchange.key) and not self.version


def parse_copy_source(exchange: Exchange) -> CopySource:
    """The source. Raises S3Error: InvalidArgument, NoSuchBucket for the system bucket."""
    services = exchange.services
    value = exchange.head.headers.get(HEADER)
    if value is None:
        raise S3Error(Fault.NotImplemented, f"Copies are asked for with {HEADER} only.")
    target, version = services.addressing.resolve_copy_source(value)
    assert target.bucket is not None, "resolve_copy_source names an object"
    assert target.key is not None, "resolve_copy_source names an object"
    if target.bucket == services.system_bucket:
        raise S3Error(Fault.NoSuchBucket)
    services.store_limits.check_key(target.key)
    return CopySource(target.bucket, target.key, version or "")


def copied_headers(exchange: Exchange, seen: Look) -> dict[str, str]:
    """Headers of the new object: the source's metadata or the request's, as the directive says.

    Without the copy's own headers (source, directives, conditions) and without digests.
    """
    asked = {
        name: value
        for name, value in without_digests(forwarded_request_headers(exchange.head.headers)).items()
        if not name.startswith(HEADER)
        and not name.endswith("-directive")
        and name not in ("if-match", "if-none-match", "x-amz-tagging")
    }
    directive = exchange.head.headers.get("x-amz-metadata-directive", "COPY").upper()
    if directive == "REPLACE":
        return asked
    if directive != "COPY":
        raise S3Error(Fault.InvalidArgument, "Unknown metadata directive.")
    kept = {n: v for n, v in asked.items() if not _is_metadata(n)}
    return kept | {n: v for n, v in seen.headers.items() if _is_metadata(n)}


def _is_metadata(name: str) -> bool:
    return name in _METADATA or (name.startswith("x-amz-meta-") and not is_reserved(name))


async def source_tags(exchange: Exchange, source: CopySource) -> str | None:
    """The new object's tags as `x-amz-tagging` has them, or None: the source's, or the request's.

    Raises S3Error (AccessDenied) where the client may not read the source's tags.
    """
    headers = exchange.head.headers
    if headers.get("x-amz-tagging-directive", "COPY").upper() == "REPLACE":
        return headers.get("x-amz-tagging")
    query = [("tagging", "")]
    if source.version:
        query.append(("versionId", source.version))
    response = await exchange.services.store.send(
        exchange.credential, "GET", source.bucket, source.key, query=query
    )
    async with response:
        body = await response.read()
    if response.status in _TAG_ERRORS_IGNORED:
        return None
    if response.status != 200:
        raise S3Error(Fault.AccessDenied, "The tags of the source can't be read.")
    tags = [(text(tag, "Key"), text(tag, "Value")) for tag in parse_xml(body).iter("{*}Tag")]
    return encode_query(tags) or None


def last_modified_of(body: bytes) -> str | None:
    """LastModified of the store's CopyObjectResult; None if the body is an error instead."""
    root = parse_xml(body)
    name = etree.QName(root).localname
    if name == "Error":
        return None
    if name != "CopyObjectResult":
        raise StoreProtocolError("the store's answer to a copy is no CopyObjectResult")
    return text(root, "LastModified")
