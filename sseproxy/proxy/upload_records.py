"""The records of a multipart upload in the system bucket (docs/format.md 5.2 and 5.3).

They make an upload the same on every worker: what was decided when it was created, and what is
known of every part. An upload whose record is gone does not exist; its absence never means that
nothing was to be encrypted.
"""

from __future__ import annotations

import secrets

from sseproxy.errors import IntegrityError
from sseproxy.format.attributes import Attributes
from sseproxy.format.envelope import Envelope, open_attributes
from sseproxy.format.names import SALT_BYTES, upload_folder, upload_record_name
from sseproxy.format.part_record import (
    PartRecord,
    open_part_record,
    part_number_of,
    part_record_key,
    seal_part_record,
)
from sseproxy.format.record import RecordType, open_record, record_key_version, seal_record
from sseproxy.format.upload import UploadRecord
from sseproxy.proxy.exchange import Services
from sseproxy.proxy.lookup import sse_mode
from sseproxy.proxy.uploads import Upload
from sseproxy.s3.faults import Fault, S3Error
from sseproxy.s3.multipart_checksums import UploadChecksum
from sseproxy.s3.sse import SseMode
from sseproxy.secret import Secret

_PAGE_KEYS = 1000


async def create_upload_record(
    services: Services,
    bucket: str,
    key: str,
    upload_id: str,
    envelope: Envelope | None,
    checksum: UploadChecksum | None,
) -> Upload:
    """Write the record of an upload that the store has just accepted.

    envelope: of the object to be, None if it is not encrypted. checksum: that the client
    chose, if any. Raises KeyringStale, StoreError.
    """
    keyring = services.keys.for_writing()
    name = services.name(bucket, key)
    version = keyring.active_attribute if envelope is None else envelope.ak_version
    record = UploadRecord(
        name=name,
        upload_id=upload_id,
        envelope="" if envelope is None else envelope.encode(),
        part_key_salt=secrets.token_bytes(SALT_BYTES),
        checksum_algorithm=checksum.algorithm if checksum else None,
        checksum_composite=checksum is not None and checksum.composite,
        created=int(services.clock().timestamp()),
    )
    folder = upload_folder(keyring.name_key, name, upload_id)
    full_name = upload_record_name(folder)
    ak = keyring.ak(version)
    sealed = seal_record(record.encode(), ak, version, RecordType.UPLOAD, full_name)
    await services.records.put(full_name, sealed)
    return _remembered(services, bucket, key, record, folder, version)


async def find_upload(services: Services, bucket: str, key: str, upload_id: str) -> Upload:
    """The upload of that id. Raises S3Error(NoSuchUpload) if there is no record of it.

    Also FormatError, KeyUnavailable, StoreError.
    """
    keyring = services.keys.for_reading()
    name = services.name(bucket, key)
    folder = upload_folder(keyring.name_key, name, upload_id)
    known = services.recent_uploads.get(folder)
    if known is not None:
        return known
    full_name = upload_record_name(folder)
    stored = await services.records.get(full_name)
    if stored is None:
        raise S3Error(Fault.NoSuchUpload)
    payload = open_record(stored.data, keyring.ak, RecordType.UPLOAD, full_name)
    record = UploadRecord.decode(payload)
    if (record.name, record.upload_id) != (name, upload_id):
        raise IntegrityError("record", "the upload record is that of another upload")
    return _remembered(services, bucket, key, record, folder, record_key_version(stored.data))


def _remembered(
    services: Services, bucket: str, key: str, record: UploadRecord, folder: str, version: int
) -> Upload:
    envelope: Envelope | None = None
    attributes: Attributes | None = None
    mode = SseMode.NONE
    if record.envelope:
        envelope = Envelope.decode(record.envelope)
        ak = services.keymaster.attribute_key(envelope)
        attributes = open_attributes(envelope, ak, record.name)
        mode = sse_mode(envelope)
        if attributes.manifest_id is None:
            raise IntegrityError("record", "the upload's envelope is not that of a multipart one")
    upload = Upload(bucket, key, record, folder, version, mode, envelope, attributes)
    services.recent_uploads.put(upload)
    return upload


async def add_part_record(services: Services, upload: Upload, record: PartRecord) -> None:
    """Remember one upload of a part. Raises StoreError."""
    component = seal_part_record(record, _part_key(services, upload), upload.folder)
    await services.records.put(upload.folder + component, b"")


async def part_records(
    services: Services, upload: Upload, first: int, last: int
) -> dict[int, list[PartRecord]]:
    """What is known of the parts first..last, every upload of each: a thousand with a request.

    Raises IntegrityError("record") for one that was altered, StoreError.
    """
    key = _part_key(services, upload)
    found: dict[int, list[PartRecord]] = {}
    # "." is the character behind "-": past every record of the part before.
    after = f"{upload.folder}{first - 1:05}."
    while True:
        names = await services.records.list(upload.folder, after=after, limit=_PAGE_KEYS)
        for name in names:
            component = name.removeprefix(upload.folder)
            number = part_number_of(component)
            if number is None:
                continue
            if number > last:
                return found
            found.setdefault(number, []).append(open_part_record(component, key, upload.folder))
        if len(names) < _PAGE_KEYS:
            return found
        after = names[-1]


async def drop_part_records(services: Services, upload: Upload) -> None:
    """Remove the part records of a completed upload. Its own record stays, so that a repeated
    CompleteMultipartUpload is known for what it is. Raises StoreError."""
    names = await services.records.list(upload.folder)
    kept = upload_record_name(upload.folder)
    await services.records.delete_many([name for name in names if name != kept])


async def drop_records(services: Services, bucket: str, key: str, upload_id: str) -> None:
    """Remove every record of an aborted upload, if it has any. Raises StoreError."""
    keyring = services.keys.for_reading()
    folder = upload_folder(keyring.name_key, services.name(bucket, key), upload_id)
    services.recent_uploads.drop(folder)
    await services.records.delete_many(await services.records.list(folder))


def _part_key(services: Services, upload: Upload) -> Secret:
    ak = services.keys.for_reading().ak(upload.ak_version)
    return part_record_key(ak, upload.record.part_key_salt, upload.folder)
