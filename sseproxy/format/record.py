"""Sealed records: the keyring, the settings, and what multipart keeps in the system bucket."""

from __future__ import annotations

import secrets
import struct
from collections.abc import Callable
from enum import IntEnum

from sseproxy.errors import IntegrityError, UnknownVersion
from sseproxy.format.header import TAG_BYTES, VERSION
from sseproxy.format.names import SALT_BYTES, hkdf
from sseproxy.format.once import open_once, seal_once
from sseproxy.secret import Secret

_START = struct.Struct(">BBI16s")  # version, type, key version, salt
_ROOT_ID_BYTES = 4


class RecordType(IntEnum):
    """What a record is; it enters the record's key by its name in lower case (section 5)."""

    KEYRING = 1
    SETTINGS = 2
    UPLOAD = 3
    MANIFEST = 4


def seal_record(
    payload: bytes, key: Secret, key_version: int, record_type: RecordType, full_name: str
) -> bytes:
    """Seal a record under its name, with a fresh salt at every call (section 5).

    key, key_version: an AK and its version; for the keyring the root key and its id.
    ValueError if the version is no u32.
    """
    if not 0 <= key_version < 2**32:
        raise ValueError("key versions are u32")
    salt = secrets.token_bytes(SALT_BYTES)
    start = _START.pack(VERSION, record_type, key_version, salt)
    record_key = _record_key(key, salt, record_type, full_name)
    return start + seal_once(record_key, payload, start + full_name.encode())


def open_record(
    data: bytes,
    key_lookup: Callable[[int], Secret],
    record_type: RecordType,
    full_name: str,
) -> bytes:
    """Open a record that was stored under `full_name`; its payload (section 5).

    key_lookup: gives the key of a version, or raises. UnknownVersion, or
    IntegrityError("record") for another type, another name or changed bytes.
    """
    found_type, key_version, salt = _parse(data)
    if found_type != record_type:
        raise IntegrityError("record", f"record of type {found_type} instead of {record_type}")
    start, sealed = data[: _START.size], data[_START.size :]
    record_key = _record_key(key_lookup(key_version), salt, record_type, full_name)
    aad = start + full_name.encode()
    return open_once(record_key, sealed, aad, reason="record", what=f"the record {full_name}")


def record_key_version(data: bytes) -> int:
    """Which key version a record says it is sealed with; not authenticated. Raises as opening."""
    _, key_version, _ = _parse(data)
    return key_version


def root_key_id(root: Secret) -> int:
    """The id that stands for a root key in the place of a key version (section 5)."""
    derived = hkdf(root, b"", "sseproxy/v1/root-id").reveal()
    return int.from_bytes(derived[:_ROOT_ID_BYTES])


def _parse(data: bytes) -> tuple[int, int, bytes]:
    """(type, key version, salt) of a record that is long enough, and of this version."""
    if data and data[0] != VERSION:
        raise UnknownVersion(f"record of version {data[0]}; this reader knows 1")
    if len(data) < _START.size + TAG_BYTES:
        raise IntegrityError("record", f"a record of {len(data)} bytes")
    _, found_type, key_version, salt = _START.unpack_from(data)
    return found_type, key_version, salt


def _record_key(key: Secret, salt: bytes, record_type: RecordType, full_name: str) -> Secret:
    return hkdf(key, salt, "sseproxy/v1/record", record_type.name.lower(), full_name)
