"""What the tests of the format share: fixed keys, data of any size, parts sealed whole."""

from __future__ import annotations

import random

from sseproxy.format.attributes import Attributes
from sseproxy.format.envelope import Envelope, Mode, UpperKey, seal_envelope
from sseproxy.format.header import HEADER_BYTES, SEGMENT_BYTES, Header
from sseproxy.format.layout import sealed_part_size
from sseproxy.format.names import ObjectName
from sseproxy.format.segments import PartOpener, PartSealer, part_cipher
from sseproxy.secret import Secret

DEK = Secret(bytes(range(32)))
AK = Secret(bytes(range(32, 64)))
UPPER = Secret(bytes(range(64, 96)))
DATA_ID = b"data id, 16 byte"
SALT = b"envelope salt 16"
PART_SALT = b"salt of the part"
KEYRING_ID = b"the keyring's id"
NAME = ObjectName("bucket", "folder/key ü")

# Plain sizes where something changes: nothing, one byte, segment boundaries, small to large.
EDGES = sorted(
    {
        max(0, base + delta)
        for base in (0, SEGMENT_BYTES, 2 * SEGMENT_BYTES, 3 * SEGMENT_BYTES, 524_288)
        for delta in (-1, 0, 1)
    }
)

UPPER_KEYS = {
    Mode.SSE_COS: UpperKey(Mode.SSE_COS, bytes((0, 0, 0, 7)), UPPER),
    Mode.SSE_KMS: UpperKey(Mode.SSE_KMS, b"h" * 32, UPPER, b"a blob of the KMS"),
    Mode.SSE_KMS_BUCKET: UpperKey(Mode.SSE_KMS_BUCKET, b"w" * 36, UPPER),
    Mode.SSE_C: UpperKey(Mode.SSE_C, b"", UPPER),
}


def data(size: int, seed: int = 0) -> bytes:
    return random.Random(seed).randbytes(size)


def header(size: int, *, number: int = 1, salt: bytes = PART_SALT, trailer: bool = False) -> Header:
    return Header(number, size, salt, trailer)


def seal(plain: bytes, head: Header | None = None) -> bytes:
    """The segments of a part, sealed in one call."""
    head = head or header(len(plain))
    out = bytearray(sealed_part_size(len(plain)) - HEADER_BYTES)
    sealer = PartSealer(DEK, DATA_ID, head)
    assert sealer.seal_into(plain, memoryview(out)) == len(out)
    assert sealer.finished
    return bytes(out)


def open_all(sealed: bytes, head: Header, dek: Secret = DEK, data_id: bytes = DATA_ID) -> bytes:
    """Open the segments of a part in one call, and require the end to be there."""
    opener = PartOpener(part_cipher(dek, data_id, head), head)
    out = bytearray(len(sealed))
    written = opener.open_into(sealed, memoryview(out))
    opener.finish()
    return bytes(out[:written])


def segments_of(sealed: bytes) -> list[bytes]:
    step = SEGMENT_BYTES + 16
    return [sealed[start : start + step] for start in range(0, len(sealed), step)]


def envelope(mode: Mode = Mode.SSE_COS, attributes: Attributes | None = None) -> Envelope:
    if attributes is None:
        attributes = Attributes(
            plain_size=5,
            etag=b"e" * 16,
            verifier=b"v" * 32 if mode is Mode.SSE_C else None,
            checksums={"crc32": b"crc!"},
        )
    return seal_envelope(
        upper=UPPER_KEYS[mode],
        keyring_id=KEYRING_ID,
        ak_version=3,
        ak=AK,
        data_ak_version=2,
        data_id=DATA_ID,
        dek=DEK,
        salt=SALT,
        part_salt=PART_SALT if attributes.manifest_id is None else bytes(16),
        name=NAME,
        attributes=attributes,
    )


def flipped(value: bytes, position: int, bit: int = 0) -> bytes:
    changed = bytearray(value)
    changed[position] ^= 1 << bit
    return bytes(changed)
