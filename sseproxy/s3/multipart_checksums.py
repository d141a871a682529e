"""Checksums of objects made of parts (semantics.md, "ETag, size, checksums").

FULL_OBJECT: the checksum of the whole data, which a CRC's parts can be combined to. COMPOSITE:
the checksum of the parts' checksums, on the wire with the count of parts behind it. An upload
declares one algorithm and one type when it is created.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import anycrc

from sseproxy.s3.checksums import ALGORITHMS, PREFIX, checksum_headers
from sseproxy.s3.faults import Fault, S3Error
from sseproxy.s3.request import Dialect

FULL_OBJECT = "FULL_OBJECT"
COMPOSITE = "COMPOSITE"
LARGEST_PART_NUMBER = 10_000

# Which types S3 gives the checksum of an upload, its default first: a CRC of the whole follows
# from the parts', any other digest of the whole does not. CRC-64/XZ is COS's, and never declared.
UPLOAD_TYPES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "crc32": (COMPOSITE, FULL_OBJECT),
        "crc32c": (COMPOSITE, FULL_OBJECT),
        "crc64nvme": (FULL_OBJECT,),
        "sha1": (COMPOSITE,),
        "sha256": (COMPOSITE,),
        "sha512": (COMPOSITE,),
        "md5": (COMPOSITE,),
        "xxhash64": (COMPOSITE,),
        "xxhash3": (COMPOSITE,),
        "xxhash128": (COMPOSITE,),
    }
)
_CRCS = {
    "crc32": anycrc.Model("CRC32-ISO-HDLC"),
    "crc32c": anycrc.Model("CRC32-ISCSI"),
    "crc64nvme": anycrc.Model("CRC64-NVME"),
    "crc64ecma": anycrc.Model("CRC64-XZ"),
}
COMBINABLE = frozenset(_CRCS)


@dataclass(frozen=True, slots=True)
class UploadChecksum:
    """The checksum that a multipart upload's parts and object have."""

    algorithm: str
    composite: bool

    @property
    def type_name(self) -> str:
        """As the header x-amz-checksum-type has it."""
        return type_name(self.composite)


def type_name(composite: bool) -> str:
    """COMPOSITE or FULL_OBJECT."""
    return COMPOSITE if composite else FULL_OBJECT


def parse_upload_checksum(headers: Mapping[str, str]) -> UploadChecksum | None:
    """The checksum that a CreateMultipartUpload declares; None if it declares none.

    headers: lower-case names. Raises S3Error InvalidRequest for an algorithm or type that S3 does
    not have, for a type alone, and for a type that the algorithm can't have.
    """
    asked, asked_type = (headers.get(PREFIX + name) for name in ("algorithm", "type"))
    if asked_type is not None and asked_type.upper() not in {COMPOSITE, FULL_OBJECT}:
        raise _invalid("Value for x-amz-checksum-type header is invalid.")
    if asked is None:
        if asked_type is not None:
            raise _invalid(
                "The x-amz-checksum-type header can only be used with the "
                "x-amz-checksum-algorithm header."
            )
        return None
    algorithm = asked.lower()
    types = UPLOAD_TYPES.get(algorithm)
    if types is None:
        known = ", ".join(name.upper() for name in UPLOAD_TYPES)
        raise _invalid(
            "Checksum algorithm provided is unsupported. Please try again with any of the valid "
            f"types: [{known}]"
        )
    chosen = types[0] if asked_type is None else asked_type.upper()
    if chosen not in types:
        raise _invalid(
            f"The {chosen} checksum type cannot be used with the {algorithm} checksum algorithm."
        )
    return UploadChecksum(algorithm, chosen == COMPOSITE)


def combine(algorithm: str, parts: Iterable[tuple[bytes, int]]) -> bytes:
    """The CRC of data from those of its parts, in order: (digest, bytes of the part).

    algorithm: one of COMBINABLE. No parts: the CRC of nothing.
    """
    model = _CRCS[algorithm]
    value = 0
    for digest, size in parts:
        value = model.combine(value, int.from_bytes(digest, "big"), size)
    return value.to_bytes(ALGORITHMS[algorithm].digest_bytes, "big")


def composite(algorithm: str, digests: Iterable[bytes]) -> bytes:
    """The COMPOSITE checksum of an object: the checksum of its parts' checksums, in order."""
    hasher = ALGORITHMS[algorithm].factory()
    for digest in digests:
        hasher.update(digest)
    return hasher.digest()


def header_value(algorithm: str, digest: bytes, parts: int | None = None) -> str:
    """A checksum as header and XML have it; parts: how many, if it is COMPOSITE."""
    text = ALGORITHMS[algorithm].encode(digest)
    return text if parts is None else f"{text}-{parts}"


def parse_header_value(algorithm: str, text: str) -> tuple[bytes, int | None]:
    """The reverse of header_value: the digest, and the count of parts if there is one.

    Raises ValueError if malformed, or if the count is none that an upload can have.
    """
    digest, dash, count = text.partition("-")
    if not dash:
        return ALGORITHMS[algorithm].decode(text), None
    parts = int(count) if count.isascii() and count.isdigit() and len(count) <= 5 else 0
    if not 1 <= parts <= LARGEST_PART_NUMBER or str(parts) != count:
        raise ValueError("not a count of parts")
    return ALGORITHMS[algorithm].decode(digest), parts


def object_checksum_headers(
    checksums: Mapping[str, bytes], dialect: Dialect, parts: int | None = None
) -> dict[str, str]:
    """Response headers for an object's checksums and their type, in the caller's dialect.

    parts: how many the object has, if its checksums are COMPOSITE (CRC-64/XZ never is).
    """
    headers = checksum_headers(checksums, dialect)
    if dialect is not Dialect.S3 or not headers:
        return headers
    if parts is not None:
        headers = {name: f"{value}-{parts}" for name, value in headers.items()}
    return {**headers, PREFIX + "type": type_name(parts is not None)}


def xml_element(algorithm: str) -> str:
    """The name of the XML element that holds a checksum of this algorithm."""
    return "CRC64" if algorithm == "crc64ecma" else f"Checksum{algorithm.upper()}"


BY_XML_ELEMENT: Mapping[str, str] = MappingProxyType(
    {xml_element(name): name for name in ALGORITHMS}
)


def _invalid(message: str) -> S3Error:
    return S3Error(Fault.InvalidRequest, message)
