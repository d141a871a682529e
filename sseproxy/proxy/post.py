"""PostObject: a form's upload becomes the PUT that it asks for, by the same rules.

The store needs no POST of its own. The form is signed by its fields, so its head is read before
anyone knows who asks; nothing but those fields, of bounded size, is held until then.
"""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import quote

from aiohttp import web

from sseproxy.proxy.answer import relay, written_headers
from sseproxy.proxy.authenticate import authenticate_form
from sseproxy.proxy.body import COS_CHECKSUM
from sseproxy.proxy.exchange import Exchange
from sseproxy.proxy.form_body import FileBody, Form
from sseproxy.proxy.pinning import pinned_write
from sseproxy.proxy.put import MAX_SINGLE_PUT_BYTES
from sseproxy.proxy.unsized import Refusal, UnsizedWrite, store_unsized
from sseproxy.s3 import post_fields, sse
from sseproxy.s3.addressing import Target
from sseproxy.s3.faults import Fault, S3Error
from sseproxy.s3.form import MAX_FIELDS_BYTES
from sseproxy.s3.headers import forwarded_request_headers
from sseproxy.s3.operations import Operation, classify
from sseproxy.s3.post_policy import LengthRange, parse_policy
from sseproxy.s3.request import Dialect
from sseproxy.s3.sse import SseMode

# The largest file, and generous room for the fields around it.
_MAX_FORM_BYTES = MAX_SINGLE_PUT_BYTES + 64 * MAX_FIELDS_BYTES
_CONDITIONS = ("if-match", "if-none-match")


async def post_object(exchange: Exchange) -> web.StreamResponse:
    """A form upload: encrypted as its fields, bucket rule or default say."""
    _refuse_sse_headers(exchange)
    form = Form(exchange)
    if form.length > _MAX_FORM_BYTES:
        raise S3Error(Fault.EntityTooLarge, MaxSizeAllowed=str(MAX_SINGLE_PUT_BYTES))
    fields = await form.read_fields()
    key = post_fields.key_of(fields)
    allowed = await _authenticate(exchange, fields)
    bucket, base = exchange.bucket, _base(exchange)
    _become_put(exchange, fields, key)
    headers = exchange.head.headers
    asked = sse.parse_write(
        headers,
        secure=exchange.head.secure,
        allow_insecure_ssec=exchange.services.allow_insecure_ssec,
    )
    mode = exchange.mode_of_write(asked)
    if mode is not SseMode.NONE and exchange.anonymous:
        raise exchange.anonymous_denied()
    also = {COS_CHECKSUM, "md5"} if mode is SseMode.SSE_COS else {COS_CHECKSUM}
    body = FileBody(form, headers, allowed, also=also)
    to_store = forwarded_request_headers(headers) | await pinned_write(exchange)
    try:
        written = await store_unsized(UnsizedWrite(exchange, mode, asked.customer, to_store, body))
    except Refusal as refused:
        return await relay(exchange, refused.response)
    checksums = body.checksums() if exchange.dialect is Dialect.COS else body.promised()
    said = written_headers(
        exchange, written.headers, written.etag, checksums, exchange.mode, asked.customer
    )
    answer = post_fields.answer(fields, bucket, key, written.etag, base)
    return exchange.answer(answer.status, said | answer.headers, answer.body)


def _refuse_sse_headers(exchange: Exchange) -> None:
    """Encryption is a form's own business: a header is nothing that its policy covers."""
    for name in exchange.head.headers:
        if sse.is_sse_header(name):
            raise S3Error(
                Fault.InvalidArgument,
                f"A form upload takes server-side encryption as a form field: send {name} as a "
                "field before the file, not as a header.",
                ArgumentName=name,
            )


async def _authenticate(exchange: Exchange, fields: dict[str, str]) -> LengthRange:
    """Set `exchange.client` by the form's signature, and hold the form to its policy.

    Without signature and policy a form is what its request is: anonymous, or signed by a
    header. Returns how long the file may be.
    """
    services, by_header = exchange.services, exchange.client
    try:
        await authenticate_form(exchange, fields)
        if "policy" not in fields:
            return LengthRange()
        if by_header is not None:
            raise S3Error(
                Fault.InvalidArgument,
                "Only one auth mechanism is allowed: form fields or the Authorization header.",
                ArgumentName="Authorization",
            )
        policy = parse_policy(fields["policy"])
        policy.check(fields, bucket=exchange.bucket, now=services.clock())
    except S3Error as error:
        services.metrics.authentication_failures.labels(error.fault.name).inc()
        raise
    return policy.length


def _base(exchange: Exchange) -> str:
    """The address of the bucket as the client has it, with a "/" at its end."""
    head = exchange.head
    scheme = "https" if head.secure else "http"
    in_host = exchange.services.addressing.bucket_of_host(head.host) is not None
    bucket = "" if in_host else quote(exchange.bucket, safe="") + "/"
    return f"{scheme}://{head.host}/{bucket}"


def _become_put(exchange: Exchange, fields: dict[str, str], key: str) -> None:
    """Make of the exchange what it would be for the PUT that the form stands for.

    Raises S3Error for a key that the store would take for another one, and for fields that
    would make another operation of the PUT.
    """
    exchange.services.store_limits.check_key(key)
    exchange.target = Target(exchange.bucket, key)
    headers = post_fields.upload_headers(fields)
    if classify("PUT", exchange.target, {}, headers) is not Operation.PutObject:
        raise S3Error(Fault.NotImplemented, "A form can only upload the file that it has.")
    if any(name.startswith(Dialect.COS.prefix) for name in headers):
        exchange.dialect = Dialect.COS
    for name in _CONDITIONS:
        if name in exchange.head.headers:
            headers[name] = exchange.head.headers[name]
    exchange.head = replace(exchange.head, headers=headers, query={})
