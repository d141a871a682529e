"""CreateMultipartUpload: how the object will be encrypted is decided here, once."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Mapping

from aiohttp import web

from sseproxy.errors import SseProxyError
from sseproxy.format.attributes import Attributes
from sseproxy.format.derive import verifier
from sseproxy.format.envelope import (
    NO_PART_SALT,
    Envelope,
    new_data_id,
    new_dek,
    new_salt,
    seal_envelope,
)
from sseproxy.format.layout import SMALL_OBJECT_BYTES
from sseproxy.format.names import ID_BYTES
from sseproxy.proxy.answer import sse_headers
from sseproxy.proxy.body import ClientBody, read_whole
from sseproxy.proxy.exchange import Exchange
from sseproxy.proxy.store_error import store_error, success_of
from sseproxy.proxy.upload_records import create_upload_record, drop_records
from sseproxy.proxy.uploads import Upload
from sseproxy.s3 import sse
from sseproxy.s3.faults import Fault, S3Error
from sseproxy.s3.headers import (
    RESERVED_METADATA,
    forwarded_request_headers,
    forwarded_response_headers,
    without_digests,
)
from sseproxy.s3.multipart_checksums import UploadChecksum, parse_upload_checksum
from sseproxy.s3.multipart_xml import initiate_result, upload_id_of
from sseproxy.s3.sse import CustomerKey, SseMode

log = logging.getLogger("sseproxy")


async def create_multipart_upload(exchange: Exchange) -> web.StreamResponse:
    """An upload: encrypted as header, bucket rule or default say, or stored as it comes."""
    asked = sse.parse_write(
        exchange.head.headers,
        secure=exchange.head.secure,
        allow_insecure_ssec=exchange.services.allow_insecure_ssec,
    )
    mode = exchange.mode_of_write(asked)
    if mode is not SseMode.NONE and exchange.anonymous:
        raise exchange.anonymous_denied()
    chosen = parse_upload_checksum(exchange.head.headers)
    body = ClientBody(exchange)
    if body.length > SMALL_OBJECT_BYTES:
        raise S3Error(Fault.MaxMessageLengthExceeded)
    await read_whole(body)  # nothing is in it, but what is promised of it holds
    headers = forwarded_request_headers(exchange.head.headers)
    upload, store_headers = await start_upload(exchange, headers, mode, asked.customer, chosen)
    answer = forwarded_response_headers(store_headers)
    answer["content-type"] = "application/xml"
    answer.update(sse_headers(exchange, mode, asked.customer))
    if chosen is not None and mode is not SseMode.NONE:
        answer["x-amz-checksum-algorithm"] = chosen.algorithm.upper()
        answer["x-amz-checksum-type"] = chosen.type_name
    result = initiate_result(exchange.bucket, exchange.key, upload.upload_id)
    return exchange.answer(200, answer, result)


async def start_upload(
    exchange: Exchange,
    headers: Mapping[str, str],
    mode: SseMode,
    customer: CustomerKey | None,
    checksum: UploadChecksum | None,
) -> tuple[Upload, Mapping[str, str]]:
    """Create an upload of the exchange's target at the store, and its record.

    headers: for the store, of the object to be. checksum: that the client chose. Returns the
    upload and the headers of the store's answer. Raises S3Error for the store's refusal and for
    metadata that it can't take, KeyringStale, StoreError.
    """
    limits = exchange.services.store_limits
    envelope: Envelope | None = None
    sent = dict(headers)
    if mode is not SseMode.NONE:
        envelope = await _new_envelope(exchange, mode, customer)
        # What the store would compute and show is about ciphertext, and of no use to anyone.
        sent = without_digests(sent) | {RESERVED_METADATA: envelope.encode()}
    # Parts are not empty as a folder is: where its data would be lost, there is no such upload.
    limits.is_bare_folder(exchange.key, 1)
    limits.check_metadata(sent)
    response = await exchange.send("POST", sent, query=[("uploads", "")], body=b"")
    async with response:
        body = await response.read()
    if response.status != 200:
        raise store_error(response.status, body)
    upload_id = upload_id_of(success_of(body, "InitiateMultipartUploadResult"))
    try:
        upload = await create_upload_record(
            exchange.services, exchange.bucket, exchange.key, upload_id, envelope, checksum
        )
    except SseProxyError:
        await abandon_upload(exchange, upload_id)
        raise
    return upload, response.headers


async def _new_envelope(
    exchange: Exchange, mode: SseMode, customer: CustomerKey | None
) -> Envelope:
    """The envelope of an object whose size and digests only its manifest will know."""
    services = exchange.services
    keyring = services.keys.for_writing()
    upper = await services.keymaster.upper_key_for_write(mode, customer, keyring=keyring)
    version = keyring.active_attribute
    ak, salt = keyring.ak(version), new_salt()
    return seal_envelope(
        upper=upper,
        keyring_id=keyring.id,
        ak_version=version,
        ak=ak,
        data_ak_version=version,
        data_id=new_data_id(),
        dek=new_dek(),
        salt=salt,
        part_salt=NO_PART_SALT,
        name=exchange.name,
        attributes=Attributes(
            manifest_id=secrets.token_bytes(ID_BYTES),
            verifier=verifier(customer.key, ak, salt) if customer else None,
        ),
    )


async def abandon_upload(exchange: Exchange, upload_id: str) -> None:
    """Abort an upload of the exchange's target that will not be completed, with its records.

    A failure is logged: an upload that stays open without record takes no parts, and one with a
    record is as if its client had gone away.
    """
    try:
        response = await exchange.send("DELETE", {}, query=[("uploadId", upload_id)])
        async with response:
            await response.read()
        await drop_records(exchange.services, exchange.bucket, exchange.key, upload_id)
    except SseProxyError as error:
        log.warning("%s: an upload stays open: %s", exchange.request_id, error)
