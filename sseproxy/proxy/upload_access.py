"""Who may touch which upload: its record found, its customer key compared."""

from __future__ import annotations

from sseproxy.errors import CustomerKeyWrong
from sseproxy.keys.customer import check_customer_key
from sseproxy.proxy.exchange import Exchange
from sseproxy.proxy.upload_records import find_upload
from sseproxy.proxy.uploads import Upload
from sseproxy.s3 import sse
from sseproxy.s3.faults import Fault, S3Error
from sseproxy.s3.sse import CustomerKey, SseMode, SseRequest

_KEY_EXPECTED = (
    "The multipart upload initiate requested encryption. Subsequent part requests must include "
    "the appropriate encryption parameters."
)
_OTHER_KEY = "The provided encryption parameters did not match the ones used originally."


async def upload_asked_for(exchange: Exchange) -> Upload:
    """The upload that a request names by its `uploadId`; the exchange gets its mode.

    Raises S3Error: NoSuchUpload, AccessDenied for an anonymous request about what is, or would
    be, encrypted; also what `find_upload` raises.
    """
    if exchange.anonymous and not exchange.writes_stay_plain:
        raise exchange.anonymous_denied()
    upload_id = exchange.head.query.get("uploadId", "")
    upload = await find_upload(exchange.services, exchange.bucket, exchange.key, upload_id)
    if exchange.anonymous and upload.mode is not SseMode.NONE:
        raise exchange.anonymous_denied()
    exchange.mode = upload.mode
    return upload


def check_plain_upload(exchange: Exchange) -> None:
    """An upload that is not encrypted goes on only where its bucket still allows that.

    The store can bring an old record back; the bucket's rule it can't. Raises S3Error.
    """
    exchange.mode_of_write(SseRequest(SseMode.NONE, exchange.dialect))


def customer_key_of(exchange: Exchange, upload: Upload, *, required: bool) -> CustomerKey | None:
    """The customer key that came with a request about an upload, once it is the upload's own.

    required: the operation can't do without it if the upload has one. Raises S3Error by
    protocol.md 3.4, and for a header that chooses a mode.
    """
    customer = sse.parse_read(
        exchange.head.headers,
        secure=exchange.head.secure,
        allow_insecure_ssec=exchange.services.allow_insecure_ssec,
    )
    has_key = upload.mode is SseMode.SSE_C
    if (customer is None and has_key and required) or (customer is not None and not has_key):
        raise S3Error(Fault.InvalidRequest, _KEY_EXPECTED)
    if customer is not None:
        envelope, attributes = upload.sealed
        ak = exchange.services.keymaster.attribute_key(envelope)
        try:
            check_customer_key(customer.key, attributes.verifier, ak, envelope.salt)
        except CustomerKeyWrong as error:
            failures = exchange.services.metrics.authentication_failures
            failures.labels(type(error).__name__).inc()
            raise S3Error(Fault.InvalidRequest, _OTHER_KEY) from None
    return customer
