"""PutObject: the straight line of a write. Its mirror image is get.py."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

from aiohttp import web

from sseproxy.format.attributes import Attributes
from sseproxy.format.derive import random_etag, verifier
from sseproxy.format.envelope import (
    Envelope,
    Mode,
    UpperKey,
    new_data_id,
    new_dek,
    new_salt,
    seal_envelope,
)
from sseproxy.format.header import Header
from sseproxy.format.layout import SMALL_OBJECT_BYTES, object_header, sealed_object_size
from sseproxy.format.names import ObjectName
from sseproxy.format.segments import PartSealer
from sseproxy.format.trailer import seal_trailer
from sseproxy.keys.model import Keyring
from sseproxy.proxy.answer import relay, written_headers
from sseproxy.proxy.body import COS_CHECKSUM, ClientBody, PlainBody, held_back, read_whole
from sseproxy.proxy.exchange import Exchange
from sseproxy.proxy.pinning import pinned_write
from sseproxy.proxy.streams import seal_stream, seal_whole
from sseproxy.s3 import sse
from sseproxy.s3.faults import Fault, S3Error
from sseproxy.s3.headers import RESERVED_METADATA, forwarded_request_headers, without_digests
from sseproxy.s3.request import Dialect
from sseproxy.s3.sse import CustomerKey, SseMode
from sseproxy.secret import Secret
from sseproxy.store.objects import StoreResponse

MAX_SINGLE_PUT_BYTES = 5 * 1024**3


async def put_object(exchange: Exchange) -> web.StreamResponse:
    """A write: encrypted as header, bucket rule or default say, or stored as it comes."""
    asked = sse.parse_write(
        exchange.head.headers,
        secure=exchange.head.secure,
        allow_insecure_ssec=exchange.services.allow_insecure_ssec,
    )
    mode = exchange.mode_of_write(asked)
    if mode is SseMode.NONE:
        return await put_plain(exchange)
    if exchange.anonymous:
        raise exchange.anonymous_denied()
    also = {COS_CHECKSUM, "md5"} if mode is SseMode.SSE_COS else {COS_CHECKSUM}
    body = ClientBody(exchange, also=also)
    if body.length > MAX_SINGLE_PUT_BYTES:
        raise S3Error(Fault.EntityTooLarge)
    if exchange.services.store_limits.is_bare_folder(exchange.key, body.length):
        return await put_plain(exchange)
    headers = without_digests(forwarded_request_headers(exchange.head.headers))
    headers.update(await pinned_write(exchange))
    writer = await SealedWriter.prepare(exchange, exchange.name, mode, asked.customer, body.length)
    exchange.mode = mode
    response = await writer.store(exchange, headers, body)
    async with response:
        if response.status >= 300:
            return await relay(exchange, response)
        await response.read()
    exchange.services.metrics.object_bytes("in", mode.value, plain=body.length)
    return exchange.answer(
        200,
        written_headers(
            exchange,
            response.headers,
            writer.etag_text(body.digests),
            body.checksums() if exchange.dialect is Dialect.COS else body.promised(),
            mode,
            asked.customer,
        ),
    )


async def put_plain(exchange: Exchange) -> web.StreamResponse:
    """A write that is stored as it comes; whatever the client promised is still verified."""
    body = ClientBody(exchange)
    headers = forwarded_request_headers(exchange.head.headers)
    headers.update(await pinned_write(exchange))
    if body.length <= SMALL_OBJECT_BYTES:
        plain = await read_whole(body)
        headers.update(body.trailer_headers())
        response = await exchange.send("PUT", headers, body=plain)
    else:
        response = await exchange.send(
            "PUT", headers, body=held_back(body), content_length=body.length
        )
    exchange.services.metrics.plain_bytes.labels("in", SseMode.NONE.value).inc(body.length)
    return await relay(exchange, response, extra=body.trailer_headers())


@dataclass(slots=True)
class SealedWriter:
    """One object about to be sealed: fresh keys, fresh salts, one name.

    From `prepare` to `store` everything random is drawn once; an instance is never reused.
    """

    keyring: Keyring
    upper: UpperKey
    mode: SseMode
    name: ObjectName
    data_id: bytes
    dek: Secret
    header: Header
    envelope_salt: bytes
    ssec_verifier: bytes | None

    @classmethod
    async def prepare(
        cls,
        exchange: Exchange,
        name: ObjectName,
        mode: SseMode,
        customer: CustomerKey | None,
        plain_length: int,
    ) -> SealedWriter:
        """Raises KeyringStale when keys or settings are too old to write with."""
        services = exchange.services
        keyring = services.keys.for_writing()
        upper = await services.keymaster.upper_key_for_write(mode, customer, keyring=keyring)
        envelope_salt = new_salt()
        ak = keyring.ak(keyring.active_attribute)
        return cls(
            keyring=keyring,
            upper=upper,
            mode=mode,
            name=name,
            data_id=new_data_id(),
            dek=new_dek(),
            header=object_header(plain_length, new_salt()),
            envelope_salt=envelope_salt,
            ssec_verifier=verifier(customer.key, ak, envelope_salt) if customer else None,
        )

    def etag_bytes(self, digests: Mapping[str, bytes]) -> bytes:
        """MD5 for SSE-COS; otherwise an HMAC of the data id (docs/format.md 4.1)."""
        if self.upper.mode is Mode.SSE_COS:
            return digests["md5"]
        return random_etag(self.keyring.etag_key, self.data_id)

    def etag_text(self, digests: Mapping[str, bytes]) -> str:
        return self.etag_bytes(digests).hex()

    async def store(
        self, exchange: Exchange, headers: dict[str, str], body: PlainBody
    ) -> StoreResponse:
        """Send the sealed object. Small ones are verified before the store hears of them."""
        size = sealed_object_size(body.length)
        sealer = PartSealer(self.dek, self.data_id, self.header)
        check_metadata = exchange.services.store_limits.check_metadata
        data: bytes | AsyncIterator[bytes | memoryview]
        if self.header.has_trailer:
            headers[RESERVED_METADATA] = self._envelope(self._sizes()).encode()
            check_metadata(headers)

            def finish() -> bytes:
                body.finish()
                return self._trailer(self._digests(body))

            data = seal_stream(
                body.pieces(), self.header, sealer, finish, exchange.services.buffers
            )
        else:
            plain = await read_whole(body)
            attributes = Attributes(
                plain_size=len(plain),
                etag=self.etag_bytes(body.digests),
                verifier=self.ssec_verifier,
                checksums=body.checksums(),
            )
            headers[RESERVED_METADATA] = self._envelope(attributes).encode()
            check_metadata(headers)
            data = seal_whole(plain, self.header, sealer)
        exchange.services.metrics.object_bytes("in", self.mode.value, sealed=size)
        return await exchange.send("PUT", headers, query=[], body=data, content_length=size)

    def _sizes(self) -> Attributes:
        return Attributes(plain_size=self.header.plain_length, verifier=self.ssec_verifier)

    def _digests(self, body: PlainBody) -> Attributes:
        return Attributes(etag=self.etag_bytes(body.digests), checksums=body.checksums())

    def _trailer(self, attributes: Attributes) -> bytes:
        ak = self.keyring.ak(self.keyring.active_attribute)
        return seal_trailer(attributes, ak, self.data_id, self.header)

    def _envelope(self, attributes: Attributes) -> Envelope:
        version = self.keyring.active_attribute
        return seal_envelope(
            upper=self.upper,
            keyring_id=self.keyring.id,
            ak_version=version,
            ak=self.keyring.ak(version),
            data_ak_version=version,
            data_id=self.data_id,
            dek=self.dek,
            salt=self.envelope_salt,
            part_salt=self.header.salt,
            name=self.name,
            attributes=attributes,
        )
