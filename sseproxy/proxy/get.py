"""GetObject and HeadObject: the straight line of a read. Its mirror image is put.py."""

from __future__ import annotations

from aiohttp import web

from sseproxy.errors import IntegrityError
from sseproxy.format.envelope import unwrap_dek
from sseproxy.format.header import HEADER_BYTES
from sseproxy.format.layout import TRAILER_BYTES, Window, needs_trailer, window
from sseproxy.format.names import ObjectName
from sseproxy.format.segments import PartOpener
from sseproxy.keys.customer import check_customer_key
from sseproxy.proxy import anonymous
from sseproxy.proxy.answer import object_headers, quoted, relay
from sseproxy.proxy.cache import SealedObject
from sseproxy.proxy.exchange import Exchange, Services
from sseproxy.proxy.lookup import (
    content_range,
    look,
    open_envelope,
    part_header,
    sse_mode,
)
from sseproxy.proxy.policy import refuse_plaintext
from sseproxy.proxy.streams import open_stream
from sseproxy.s3 import sse
from sseproxy.s3.conditions import Outcome, evaluate, parse_conditions, parse_http_date
from sseproxy.s3.faults import Fault, S3Error
from sseproxy.s3.headers import RESERVED_METADATA, forwarded_request_headers, without_conditions
from sseproxy.s3.ranges import parse_range
from sseproxy.s3.sse import CustomerKey, SseMode
from sseproxy.store.objects import StoreResponse

# How often an object may change between a look at it and the read, before the client is told.
_ATTEMPTS = 5


async def get_object(exchange: Exchange) -> web.StreamResponse:
    """A read. What came back without an envelope is the store's own and passes as it is."""
    if exchange.anonymous:
        return await anonymous.read_object(exchange)
    read = _Read(exchange)
    for attempt in range(_ATTEMPTS):
        answer = await read.attempt(fresh=attempt > 0)
        if answer is not None:
            return answer
    raise S3Error(Fault.ServiceUnavailable, "The object keeps changing; try again.")


class _Read:
    """What a client asked of one object. `attempt` answers, or says that the object changed."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self.services = exchange.services
        headers = exchange.head.headers
        self.customer = read_key(exchange)
        self.conditions = parse_conditions(headers)
        self.range = headers.get("range")
        self.part = exchange.head.query.get("partNumber")
        self.version = exchange.head.query.get("versionId", "")
        self.query = [item for item in exchange.query_to_store() if item[0] != "partNumber"]
        self.head_only = exchange.head.method == "HEAD"
        self.headers = without_conditions(forwarded_request_headers(headers))
        self.headers.pop("range", None)

    async def attempt(self, *, fresh: bool) -> web.StreamResponse | None:
        """One try; None when the object changed on the way. `fresh`: distrust the cache."""
        if not (self.head_only or self.conditions or self.range or self.part):
            return await self._whole()
        state = None
        if not (fresh or self.conditions or self.head_only):
            state = self.services.cache.get(self.exchange.bucket, self.exchange.key, self.version)
        cached = state is not None
        if state is None:
            seen = await look(
                self.services,
                self.exchange.credential,
                self.exchange.bucket,
                self.exchange.key,
                self.version,
                query=self.query,
            )
            if seen.sealed is None:
                return await self._plain()
            state = seen.sealed
            self._admit(state)
            if self.conditions and (short := self._condition(state)) is not None:
                return short
        try:
            span = self._span(state)
        except S3Error:
            if cached:
                return None
            raise
        if self.head_only:
            headers = object_headers(self.exchange, seen.headers, state, self.customer, span)
            return await self.exchange.begin(206 if span else 200, headers)
        return await self._pinned(state, span)

    async def _whole(self) -> web.StreamResponse | None:
        """An unconditional read of everything: one request, what comes decides."""
        exchange = self.exchange
        response = await exchange.send("GET", self.headers, query=self.query)
        async with response:
            if RESERVED_METADATA not in response.headers or response.status != 200:
                check_plain(exchange, response, self.customer)
                return await relay(exchange, response)
            size = response.content_length
            if size is None:
                raise IntegrityError("size", "the store does not say how much it sends")
            state = open_envelope(
                self.services, exchange.bucket, exchange.key, response.headers, size
            )
            if needs_trailer(state.plain_size):
                known = await self._completed(state)
                if known is None:
                    return None
                state = known
            return await self._open(
                response, state, None, window(state.plain_size, 0, state.plain_size)
            )

    async def _completed(self, state: SealedObject) -> SealedObject | None:
        """The same object with its trailer, which the head of the answer needs; None if changed."""
        bucket, key = self.exchange.bucket, self.exchange.key
        known = self.services.cache.get(bucket, key, self.version, store_etag=state.store_etag)
        if known is None or known.encoded != state.encoded:
            credential = self.exchange.credential
            known = (await look(self.services, credential, bucket, key, self.version)).sealed
        return known if known is not None and known.encoded == state.encoded else None

    async def _pinned(
        self, state: SealedObject, span: tuple[int, int] | None
    ) -> web.StreamResponse | None:
        """A read of what was looked at before, and of nothing else."""
        exchange = self.exchange
        wanted = window(state.plain_size, *(span or (0, state.plain_size)))
        headers = self.headers | {"if-match": quoted(state.store_etag)}
        if span is not None:
            headers["range"] = f"bytes={wanted.sealed_start}-{wanted.sealed_stop - 1}"
        response = await exchange.send("GET", headers, query=self.query)
        async with response:
            if response.headers.get(RESERVED_METADATA) != state.encoded:
                self.services.cache.drop(exchange.bucket, exchange.key, self.version)
                if response.status in (200, 206, 412, 416):
                    return None
                return await relay(exchange, response)
            expected = (200, state.sealed_size)
            if span is not None:
                expected = (206, wanted.sealed_stop - wanted.sealed_start)
                if content_range(response.headers)[0] != wanted.sealed_start:
                    raise IntegrityError("size", "the store sent another range")
            if (response.status, response.content_length) != expected:
                raise IntegrityError("size", "the store sent another length than was asked for")
            return await self._open(response, state, span, wanted)

    async def _open(
        self,
        response: StoreResponse,
        state: SealedObject,
        span: tuple[int, int] | None,
        wanted: Window,
    ) -> web.StreamResponse:
        """Unwrap, verify, and send; the head leaves only when the first segment has opened."""
        exchange = self.exchange
        self._admit(state)
        opener = await opener_of(exchange, state, self.customer, wanted)
        if span is None:
            await read_header(response, state)
        pieces = open_stream(response, opener, wanted, self.services.buffers)
        headers = object_headers(exchange, response.headers, state, self.customer, span)
        mode = sse_mode(state.envelope).value
        answer: web.StreamResponse | None = None
        async for view in pieces:
            if answer is None:
                answer = await exchange.begin(206 if span else 200, headers)
            await exchange.write(view)
        if span is None and needs_trailer(state.plain_size):
            # The trailer was verified with the attributes; read here, it frees the connection.
            await response.readinto(memoryview(bytearray(TRAILER_BYTES)))
        self.services.metrics.plain_bytes.labels("out", mode).inc(wanted.plain_length)
        self.services.metrics.sealed_bytes.labels("out", mode).inc(response.content_length or 0)
        return answer or await exchange.begin(200, headers)

    def _admit(self, state: SealedObject) -> None:
        self.exchange.mode = sse_mode(state.envelope)
        admit_key(self.services, state, self.customer)

    async def _plain(self) -> web.StreamResponse | None:
        """The look showed plaintext, or an error: the client's own request decides."""
        exchange = self.exchange
        response = await exchange.send(
            exchange.head.method, forwarded_request_headers(exchange.head.headers)
        )
        async with response:
            if RESERVED_METADATA in response.headers:
                return None
            check_plain(exchange, response, self.customer)
            return await relay(exchange, response)

    def _condition(self, state: SealedObject) -> web.StreamResponse | None:
        """The answer of a condition that does not hold, or None."""
        etag = state.attributes.etag_text or ""
        outcome = evaluate(self.conditions, etag, parse_http_date(state.last_modified))
        if outcome is Outcome.PRECONDITION_FAILED:
            raise S3Error(Fault.PreconditionFailed)
        if outcome is Outcome.NOT_MODIFIED:
            headers = {"etag": quoted(etag), "last-modified": state.last_modified}
            return self.exchange.answer(304, headers)
        return None

    def _span(self, state: SealedObject) -> tuple[int, int] | None:
        """The plain bytes asked for as (start, stop), None for all of them."""
        if self.part is not None:
            if self.part != "1":
                raise S3Error(Fault.InvalidRange, "The object has one part.")
            return (0, state.plain_size) if state.plain_size else None
        return parse_range(self.range, state.plain_size)


def read_key(exchange: Exchange) -> CustomerKey | None:
    """The customer key that came with a read. Raises S3Error for a malformed one."""
    return sse.parse_read(
        exchange.head.headers,
        secure=exchange.head.secure,
        allow_insecure_ssec=exchange.services.allow_insecure_ssec,
    )


def admit_key(services: Services, state: SealedObject, customer: CustomerKey | None) -> None:
    """The customer key must be there, and right, exactly where the object has one.

    Raises CustomerKeyMissing, CustomerKeyWrong; S3Error for a key that the object doesn't have.
    """
    if sse_mode(state.envelope) is SseMode.SSE_C:
        ak = services.keymaster.attribute_key(state.envelope)
        given = customer.key if customer else None
        check_customer_key(given, state.attributes.verifier, ak, state.envelope.salt)
    elif customer is not None:
        raise sse.customer_key_not_applicable()


def check_plain(exchange: Exchange, response: StoreResponse, customer: CustomerKey | None) -> None:
    """Plaintext came back. Raises where the bucket's rule says it can't, or a key was sent."""
    if response.status >= 300:
        return
    refuse_plaintext(exchange.policy)
    if customer is not None:
        raise sse.customer_key_not_applicable()


async def opener_of(
    exchange: Exchange,
    state: SealedObject,
    customer: CustomerKey | None,
    wanted: Window,
    *,
    name: ObjectName | None = None,
) -> PartOpener:
    """The opener of a window of a single-PUT object. name: by default the request's own target.

    Raises CustomerKeyMissing, CustomerKeyWrong, KeyUnavailable, IntegrityError.
    """
    commitment = state.attributes.commitment
    assert commitment is not None, "checked when the envelope was opened"
    upper = await exchange.services.keymaster.upper_key_for_read(
        state.envelope, state.attributes, customer
    )
    dek = unwrap_dek(state.envelope, upper, name or exchange.name, commitment)
    return PartOpener(
        dek,
        state.envelope.data_id,
        part_header(state),
        first_segment=wanted.first_segment,
        segments=wanted.segments,
    )


async def read_header(response: StoreResponse, state: SealedObject) -> None:
    """The 64 bytes in front of segment 0 must be the ones the envelope implies."""
    stored = memoryview(bytearray(HEADER_BYTES))
    if await response.readinto(stored) < HEADER_BYTES:
        raise IntegrityError("truncated", "the stored object ends in its header")
    if bytes(stored) != part_header(state).pack():
        raise IntegrityError("header", "the stored header is not the envelope's")
