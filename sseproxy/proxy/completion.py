"""What a CompleteMultipartUpload asks for, held against the parts that there are.

Pure decisions: nothing here asks the store.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sseproxy.format.part_record import PartRecord
from sseproxy.format.upload import UploadRecord
from sseproxy.proxy.body import COS_CHECKSUM
from sseproxy.proxy.multipart import checksum_type_mismatch
from sseproxy.proxy.parts import KnownPart
from sseproxy.s3.checksums import BY_HEADER, PREFIX
from sseproxy.s3.faults import Fault, S3Error
from sseproxy.s3.multipart_checksums import (
    COMPOSITE,
    FULL_OBJECT,
    combine,
    composite,
    parse_header_value,
    type_name,
)
from sseproxy.s3.multipart_xml import CompletedPart

MIN_PART_BYTES = 5 * 1024**2
_TYPE_HEADER = PREFIX + "type"
_SIZE_HEADER = "x-amz-mp-object-size"


@dataclass(frozen=True, slots=True)
class Completion:
    """A request to complete an upload: the parts by number, and what must hold of the object.

    checksum: (algorithm, digest, count of parts if it came with one). size: in plain bytes.
    """

    parts: Sequence[CompletedPart]
    checksum: tuple[str, bytes, int | None] | None = None
    size: int | None = None


def parse_promises(
    headers: Mapping[str, str], parts: Sequence[CompletedPart], record: UploadRecord
) -> Completion:
    """The request, from its headers and its list of parts.

    Raises S3Error(InvalidRequest) for what is malformed, or not of the kind that the upload was
    created with.
    """
    chosen, kind = record.checksum_algorithm, type_name(record.checksum_composite)
    asked_kind = headers.get(_TYPE_HEADER, kind).upper()
    if asked_kind not in (COMPOSITE, FULL_OBJECT):
        raise S3Error(Fault.InvalidRequest, f"Value for {_TYPE_HEADER} header is invalid.")
    if asked_kind != kind:
        raise S3Error(
            Fault.InvalidRequest,
            f"The upload was created using the {kind} checksum mode. The complete request must "
            "use the same checksum mode.",
        )
    given = [name for name in headers if name.startswith(PREFIX) and name != _TYPE_HEADER]
    checksum = None
    for header in given:
        row = BY_HEADER.get(header)
        if row is None or len(given) > 1:
            raise S3Error(
                Fault.InvalidRequest, "Expecting a single x-amz-checksum- header of a known type."
            )
        if row.name != chosen:
            raise checksum_type_mismatch(chosen, row.name)
        try:
            checksum = (row.name, *parse_header_value(row.name, headers[header]))
        except ValueError:
            raise S3Error(Fault.InvalidRequest, f"Value for {header} header is invalid.") from None
    size = headers.get(_SIZE_HEADER)
    if size is not None and not (size.isascii() and size.isdigit() and len(size) <= 19):
        raise S3Error(Fault.InvalidRequest, f"Value for {_SIZE_HEADER} header is invalid.")
    return Completion(parts, checksum, None if size is None else int(size))


def choose_parts(
    completion: Completion, known: Mapping[int, Sequence[KnownPart]], record: UploadRecord
) -> list[KnownPart]:
    """The parts that the request names, in order.

    Raises S3Error: InvalidPart, EntityTooSmall, InvalidRequest for a checksum that is missing or
    of another kind.
    """
    chosen = []
    for part in completion.parts:
        # Where a store lists every upload of a part, several may be of the same plaintext.
        same = [each for each in known.get(part.number, ()) if each.record.etag.hex() == part.etag]
        if not same:
            raise _invalid_part(part, record)
        _check_part_checksum(part, same[-1].record, record)
        chosen.append(same[-1])
    for part, there in zip(completion.parts[:-1], chosen, strict=False):
        if there.record.plain_size < MIN_PART_BYTES:
            raise S3Error(
                Fault.EntityTooSmall,
                ETag=part.etag,
                MinSizeAllowed=str(MIN_PART_BYTES),
                PartNumber=str(part.number),
                ProposedSize=str(there.record.plain_size),
            )
    return chosen


def _check_part_checksum(part: CompletedPart, stored: PartRecord, record: UploadRecord) -> None:
    for algorithm, digest in part.checksums.items():
        if algorithm != stored.checksum_algorithm:
            raise checksum_type_mismatch(stored.checksum_algorithm, algorithm)
        if digest != stored.checksum:
            raise _invalid_part(part, record)
    if record.checksum_composite and not part.checksums:
        raise S3Error(
            Fault.InvalidRequest,
            f"The upload was created using a {record.checksum_algorithm} checksum. The complete "
            f"request must include the checksum for each part. It was missing for part "
            f"{part.number} in the request.",
        )


def object_checksums(parts: Sequence[PartRecord], record: UploadRecord) -> dict[str, bytes]:
    """The checksums of the whole object, from those of its parts."""
    crcs = [(part.crc64ecma, part.plain_size) for part in parts]
    checksums = {COS_CHECKSUM: combine(COS_CHECKSUM, crcs)}
    algorithm = record.checksum_algorithm
    if algorithm is not None and record.checksum_composite:
        checksums[algorithm] = composite(algorithm, (part.checksum for part in parts))
    elif algorithm is not None:
        digests = [(part.checksum, part.plain_size) for part in parts]
        checksums[algorithm] = combine(algorithm, digests)
    return checksums


def check_promises(completion: Completion, size: int, checksums: Mapping[str, bytes]) -> None:
    """Compare what was promised with the object as it will be.

    size: plain bytes. Raises S3Error: InvalidRequest for the size, BadDigest.
    """
    if completion.size is not None and completion.size != size:
        raise S3Error(
            Fault.InvalidRequest,
            f"The provided '{_SIZE_HEADER}' header value {completion.size} does not match what "
            f"was computed: {size}",
        )
    if completion.checksum is not None:
        algorithm, digest, count = completion.checksum
        if digest != checksums[algorithm] or count not in (None, len(completion.parts)):
            raise S3Error(
                Fault.BadDigest,
                f"The {algorithm.upper()} you specified did not match the calculated checksum.",
            )


def _invalid_part(part: CompletedPart, record: UploadRecord) -> S3Error:
    return S3Error(
        Fault.InvalidPart,
        "One or more of the specified parts could not be found.  The part may not have been "
        "uploaded, or the specified entity tag may not match the part's entity tag.",
        UploadId=record.upload_id,
        PartNumber=str(part.number),
        ETag=part.etag,
    )
