"""The plaintext of a copy's source, as a body to be written; and the checksums that go with it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping

from sseproxy.errors import StoreCut
from sseproxy.proxy.body import COS_CHECKSUM
from sseproxy.proxy.copy_source import CopySource
from sseproxy.proxy.exchange import Exchange
from sseproxy.proxy.lookup import Look
from sseproxy.proxy.pinning import client_size
from sseproxy.proxy.plaintext import Span, open_plaintext
from sseproxy.s3.checksums import BY_HEADER, PREFIX, BodyDigests, Expected
from sseproxy.s3.faults import Fault, S3Error
from sseproxy.s3.multipart_checksums import (
    header_value,
    parse_upload_checksum,
    type_name,
    xml_element,
)
from sseproxy.s3.request import Dialect
from sseproxy.s3.sse import CustomerKey
from sseproxy.store.objects import StoreResponse

MAX_COPY_BYTES = 5 * 1024**3
_CHUNK_BYTES = 256 * 1024


class CopiedBody:
    """The plaintext of a source, or of a span of it; a PlainBody.

    response: from `open_source` of the same span. names: the checksums to compute; also: further
    digests, "md5" for an ETag. All are computed over what is read.
    """

    def __init__(
        self,
        exchange: Exchange,
        source: CopySource,
        seen: Look,
        response: StoreResponse,
        source_key: CustomerKey | None,
        span: Span,
        *,
        names: Collection[str],
        also: Collection[str] = (),
    ) -> None:
        self._exchange, self._source, self._state = exchange, source, seen.sealed
        self._response, self._key, self._span = response, source_key, span
        self.names = frozenset({*names, COS_CHECKSUM})
        self._digests = BodyDigests(Expected(), also={*self.names, *also})
        self.digests: Mapping[str, bytes] = {}
        self.length = client_size(seen) if span is None else span[1] - span[0]

    async def pieces(self) -> AsyncIterator[bytes | memoryview]:
        """The plain bytes; of an encrypted source, each verified before it comes."""
        pieces = self._stored() if self._state is None else self._opened()
        async for piece in pieces:
            self._digests.update(piece)
            yield piece

    async def _stored(self) -> AsyncIterator[memoryview]:
        buffer, left = memoryview(bytearray(_CHUNK_BYTES)), self.length
        while left:
            got = await self._response.readinto(buffer[: min(left, _CHUNK_BYTES)])
            if not got:
                raise StoreCut("the source of a copy ended too early")
            left -= got
            yield buffer[:got]

    def _opened(self) -> AsyncIterator[memoryview]:
        assert self._state is not None, "only called for a sealed source"
        name = self._exchange.services.name(self._source.bucket, self._source.key)
        return open_plaintext(
            self._exchange, self._response, self._state, self._key, self._span, name=name
        )

    def finish(self) -> None:
        """All of it has been read; that it is what was meant, its tags have shown."""
        self.digests = self._digests.finish()

    def checksums(self) -> dict[str, bytes]:
        """The checksums asked for, and the one that COS answers always carry."""
        return {name: self.digests[name] for name in self.names}


def check_size(plain_bytes: int) -> None:
    """Raise S3Error (InvalidRequest) for more than one copy may move."""
    if plain_bytes > MAX_COPY_BYTES:
        raise S3Error(
            Fault.InvalidRequest,
            "The specified copy source is larger than the maximum allowable size for a copy "
            f"source: {MAX_COPY_BYTES}",
        )


def asked_checksum(exchange: Exchange) -> str | None:
    """The algorithm of `x-amz-checksum-algorithm`. Raises S3Error (InvalidRequest)."""
    name = f"{PREFIX}algorithm"
    asked = {n: v for n, v in exchange.head.headers.items() if n == name}
    chosen = parse_upload_checksum(asked)
    return None if chosen is None else chosen.algorithm


def source_checksums(seen: Look, response: StoreResponse) -> dict[str, bytes]:
    """The source's checksums of its whole plaintext, and the algorithms of its composite ones.

    A composite one, of the parts' checksums, has no meaning for a copy in one piece: it is b"".
    """
    if seen.sealed is not None:
        manifest = seen.sealed.manifest
        composite = manifest is not None and manifest.composite
        return {
            name: b"" if composite and name != COS_CHECKSUM else digest
            for name, digest in seen.sealed.attributes.checksums.items()
        }
    found: dict[str, bytes] = {}
    for header, value in response.headers.items():
        row = BY_HEADER.get(header)
        if row is not None and row.header.startswith(PREFIX):
            try:
                found[row.name] = row.decode(value)
            except ValueError:
                found[row.name] = b""
    return found


def checksum_elements(
    exchange: Exchange,
    checksums: Mapping[str, bytes],
    *,
    parts: int | None = None,
    typed: bool = True,
) -> dict[str, str]:
    """Checksums as the answer to a copy names them, in the caller's dialect.

    parts: of an object whose checksums are composite. typed: say which type they are of.
    """
    cos = exchange.dialect is Dialect.COS
    elements = {
        xml_element(name): header_value(name, digest, parts)
        for name, digest in checksums.items()
        if (name == COS_CHECKSUM) == cos
    }
    if elements and typed and not cos:
        elements["ChecksumType"] = type_name(parts is not None)
    return elements
