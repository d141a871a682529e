"""The part record: what is known of an uploaded part, sealed into the name of an empty object.

A listing of the upload's folder reads a thousand of them; none has to be fetched (section 5.3).
"""

from __future__ import annotations

import hashlib
import re
import secrets
import struct
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from sseproxy.errors import IntegrityError
from sseproxy.format import b64url
from sseproxy.format.attributes import CHECKSUM_BYTES, CHECKSUM_TAGS
from sseproxy.format.header import MAX_PART_NUMBER, MAX_PLAIN_BYTES, TAG_BYTES
from sseproxy.format.names import SALT_BYTES, hkdf, lp
from sseproxy.secret import Secret

STORE_TAG_BYTES = 16
ETAG_BYTES = 16
CRC64_BYTES = 8
MAX_COMPONENT_CHARS = 216

_FIXED = struct.Struct(">16sQ16s16s8s")  # store tag, plain size, ETag, salt, CRC-64/XZ
_NONCE_BYTES = 12
_COMPONENT = re.compile("([0-9]{5})-([A-Za-z0-9_-]+)")
_ALGORITHMS = {tag: algorithm for algorithm, tag in CHECKSUM_TAGS.items()}


@dataclass(frozen=True, slots=True)
class PartRecord:
    """What is known of one upload of a part (section 5.3).

    number: 1 to 10,000; store_tag: from `store_tag`; plain_size: bytes, at most 2^43; etag: as
    the client was told it, 16 bytes; salt: of the part's header; crc64ecma: of the plaintext;
    checksum: the digest that the client declared or asked for, empty without algorithm.
    ValueError for anything else.
    """

    number: int
    store_tag: bytes
    plain_size: int
    etag: bytes
    salt: bytes
    crc64ecma: bytes
    checksum_algorithm: str | None = None
    checksum: bytes = b""

    def __post_init__(self) -> None:
        if not 1 <= self.number <= MAX_PART_NUMBER:
            raise ValueError(f"part number {self.number} is not within 1..{MAX_PART_NUMBER}")
        if not 0 <= self.plain_size <= MAX_PLAIN_BYTES:
            raise ValueError(f"plain size {self.plain_size} is not within 0..2^43")
        lengths = (len(self.store_tag), len(self.etag), len(self.salt), len(self.crc64ecma))
        if lengths != (STORE_TAG_BYTES, ETAG_BYTES, SALT_BYTES, CRC64_BYTES):
            raise ValueError(f"store tag, ETag, salt and CRC-64 of {lengths} bytes")
        algorithm = self.checksum_algorithm
        if algorithm is not None and algorithm not in CHECKSUM_BYTES:
            raise ValueError(f"no checksum is called {algorithm!r}")
        if len(self.checksum) != (0 if algorithm is None else CHECKSUM_BYTES[algorithm]):
            raise ValueError(f"a checksum {algorithm} of {len(self.checksum)} bytes")


def store_tag(store_etag: str) -> bytes:
    """What a part record keeps of the ETag that the store gave, unquoted (section 5.3)."""
    return hashlib.sha256(store_etag.encode()).digest()[:STORE_TAG_BYTES]


def part_record_key(ak: Secret, part_key_salt: bytes, folder: str) -> Secret:
    """The key of all part records of an upload (section 5.3).

    ak: the version that the upload record is sealed under; part_key_salt: the upload record's.
    """
    return hkdf(ak, part_key_salt, "sseproxy/v1/part-record", folder)


def seal_part_record(record: PartRecord, key: Secret, folder: str) -> str:
    """The name, within `folder`, of the empty object that is the record (section 5.3).

    key: from `part_record_key`; folder: with the slash at its end. Another name at every call.
    """
    payload = _FIXED.pack(
        record.store_tag, record.plain_size, record.etag, record.salt, record.crc64ecma
    )
    if record.checksum_algorithm is not None:
        payload += bytes((CHECKSUM_TAGS[record.checksum_algorithm],)) + record.checksum
    nonce = secrets.token_bytes(_NONCE_BYTES)
    sealed = AESGCM(key.reveal()).encrypt(nonce, payload, _aad(folder, record.number))
    return f"{record.number:05}-{b64url.encode(nonce + sealed)}"


def open_part_record(component: str, key: Secret, folder: str) -> PartRecord:
    """Read the name of a part record, trusting none of it (section 5.3).

    IntegrityError("record") if it is altered, of another folder or number, or not v1's.
    """
    number, data = _parse(component)
    nonce, sealed = data[:_NONCE_BYTES], data[_NONCE_BYTES:]
    try:
        payload = AESGCM(key.reveal()).decrypt(nonce, sealed, _aad(folder, number))
    except InvalidTag:
        raise IntegrityError("record", f"the record of part {number} is not authentic") from None
    stored, plain_size, etag, salt, crc = _FIXED.unpack_from(payload)
    tag, checksum = payload[_FIXED.size : _FIXED.size + 1], payload[_FIXED.size + 1 :]
    if tag and tag[0] not in _ALGORITHMS:
        raise IntegrityError("record", f"a part record with a checksum {tag[0]:#04x}")
    algorithm = _ALGORITHMS[tag[0]] if tag else None
    try:
        return PartRecord(number, stored, plain_size, etag, salt, crc, algorithm, checksum)
    except ValueError as error:
        raise IntegrityError("record", str(error)) from None


def part_number_of(component: str) -> int | None:
    """The part number that a name in an upload's folder claims; None if it is no part record."""
    match = _COMPONENT.fullmatch(component)
    number = int(match[1]) if match else 0
    return number if 1 <= number <= MAX_PART_NUMBER else None


def _parse(component: str) -> tuple[int, bytes]:
    """(part number, sealed bytes) of a name that can be a part record's."""
    number = part_number_of(component)
    if number is None or len(component) > MAX_COMPONENT_CHARS:
        raise IntegrityError("record", "not the name of a part record")
    try:
        data = b64url.decode(component[6:])
    except ValueError as error:
        raise IntegrityError("record", f"the record of part {number} is {error}") from None
    if len(data) < _NONCE_BYTES + _FIXED.size + TAG_BYTES:
        raise IntegrityError("record", f"the record of part {number} is cut short")
    return number, data


def _aad(folder: str, number: int) -> bytes:
    return lp(folder, struct.pack(">I", number))
