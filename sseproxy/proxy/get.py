"""GetObject and HeadObject: the straight line of a read. Its mirror image is put.py."""

from __future__ import annotations

from aiohttp import web

from sseproxy.errors import FormatError, IntegrityError
from sseproxy.format.layout import needs_trailer
from sseproxy.keys.customer import check_customer_key
from sseproxy.proxy import anonymous
from sseproxy.proxy.answer import object_headers, quoted, relay
from sseproxy.proxy.cache import SealedObject
from sseproxy.proxy.exchange import Exchange, Services
from sseproxy.proxy.lookup import (
    Look,
    Place,
    content_range,
    look,
    open_envelope,
    sse_mode,
    with_manifest,
)
from sseproxy.proxy.plaintext import Span, open_plaintext, open_small, stored_range
from sseproxy.proxy.policy import refuse_plaintext
from sseproxy.s3 import sse
from sseproxy.s3.conditions import Outcome, evaluate, parse_conditions, parse_http_date
from sseproxy.s3.faults import Fault, S3Error
from sseproxy.s3.headers import RESERVED_METADATA, forwarded_request_headers, without_conditions
from sseproxy.s3.ranges import no_such_part, parse_part_number, parse_range
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
        self.part = parse_part_number(exchange.head.query.get("partNumber"), self.range)
        version = exchange.head.query.get("versionId", "")
        self.place = Place(exchange.credential, exchange.bucket, exchange.key, version)
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
            state = await self._remembered()
        cached = state is not None
        if state is None:
            seen = await self._look()
            if seen.sealed is None:
                return await self._plain()
            state = seen.sealed
            self._admit(state)
            if self.conditions and (short := self._condition(state)) is not None:
                return short
        try:
            span, part = self._wanted(state)
        except S3Error:
            if cached:
                return None
            raise
        if self.head_only:
            headers = object_headers(
                self.exchange, seen.headers, state, self.customer, span, part=part
            )
            return await self.exchange.begin(206 if span else 200, headers)
        return await self._pinned(state, span, part)

    async def _look(self) -> Look:
        place, query = self.place, self.query
        return await look(
            self.services, place.credential, place.bucket, place.key, place.version, query=query
        )

    async def _remembered(self) -> SealedObject | None:
        """What a read before has seen, with its manifest, or None."""
        place = self.place
        state = self.services.cache.get(place.bucket, place.key, place.version)
        try:
            return None if state is None else await with_manifest(self.services, place, state)
        except FormatError:
            return None  # of an object that is no more, perhaps; a look tells

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
            if state.is_multipart:
                state = await with_manifest(self.services, self.place, state)
            elif needs_trailer(state.plain_size):
                known = await self._completed(state)
                if known is None:
                    return None
                state = known
            else:
                return await self._small(response, state)
            return await self._open(response, state, None)

    async def _small(self, response: StoreResponse, state: SealedObject) -> web.StreamResponse:
        """An object of few segments, verified as a whole: its answer is one write."""
        self._admit(state)
        plain = await open_small(self.exchange, response, state, self.customer)
        headers = object_headers(self.exchange, response.headers, state, self.customer, None)
        self._count(state, len(plain), response)
        return self.exchange.answer(200, headers, plain)

    async def _completed(self, state: SealedObject) -> SealedObject | None:
        """The same object with its trailer, which the head of the answer needs; None if changed."""
        place, etag = self.place, state.store_etag
        known = self.services.cache.get(place.bucket, place.key, place.version, store_etag=etag)
        if known is None or known.encoded != state.encoded:
            known = (await self._look()).sealed
        return known if known is not None and known.encoded == state.encoded else None

    async def _pinned(
        self, state: SealedObject, span: Span, part: int | None
    ) -> web.StreamResponse | None:
        """A read of what was looked at before, and of nothing else."""
        exchange = self.exchange
        stored = stored_range(state, span)
        headers = self.headers | {"if-match": quoted(state.store_etag)}
        if stored is not None:
            headers["range"] = f"bytes={stored[0]}-{stored[1] - 1}"
        response = await exchange.send("GET", headers, query=self.query)
        async with response:
            if response.headers.get(RESERVED_METADATA) != state.encoded:
                self.services.cache.drop(exchange.bucket, exchange.key, self.place.version)
                if response.status in (200, 206, 412, 416):
                    return None
                return await relay(exchange, response)
            expected = (200, state.sealed_size)
            if stored is not None:
                expected = (206, stored[1] - stored[0])
                if content_range(response.headers)[0] != stored[0]:
                    raise IntegrityError("size", "the store sent another range")
            if (response.status, response.content_length) != expected:
                raise IntegrityError("size", "the store sent another length than was asked for")
            return await self._open(response, state, span, part)

    async def _open(
        self, response: StoreResponse, state: SealedObject, span: Span, part: int | None = None
    ) -> web.StreamResponse:
        """Unwrap, verify, and send; the head leaves only when the first segment has opened."""
        exchange = self.exchange
        self._admit(state)
        headers = object_headers(exchange, response.headers, state, self.customer, span, part=part)
        status = 206 if span else 200
        answer: web.StreamResponse | None = None
        async for view in open_plaintext(exchange, response, state, self.customer, span):
            if answer is None:
                answer = await exchange.begin(status, headers)
            await exchange.write(view)
        start, stop = span or (0, state.plain_size)
        self._count(state, stop - start, response)
        return answer or await exchange.begin(status, headers)

    def _count(self, state: SealedObject, plain_bytes: int, response: StoreResponse) -> None:
        mode, sealed_bytes = sse_mode(state.envelope).value, response.content_length or 0
        self.services.metrics.object_bytes("out", mode, plain=plain_bytes, sealed=sealed_bytes)

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

    def _wanted(self, state: SealedObject) -> tuple[Span, int | None]:
        """The plain bytes asked for, None for all of them; and the part's index, if it was one.

        Parts are counted, as S3 does: part 2 is the second, whatever number it was uploaded by.
        """
        if self.part is None:
            return parse_range(self.range, state.plain_size), None
        count, index = state.part_count, self.part - 1
        if self.part > (count or 1):
            raise no_such_part(self.part, count or 1)
        if not state.plain_size:
            return None, index
        if count is None or state.manifest is None:
            return (0, state.plain_size), index
        return state.manifest.part_span(index), index


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
