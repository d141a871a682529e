"""Section 5: sealed records."""

from __future__ import annotations

from collections.abc import Mapping

from tests.testkit.kit.notation import ZERO_NONCE, Refused, hkdf, seal, u32, unseal

RECORD_TYPES = {1: "keyring", 2: "settings", 3: "upload", 4: "manifest"}


def record_key(key: bytes, salt: bytes, record_type: int, name: str) -> bytes:
    return hkdf(key, salt, "record", RECORD_TYPES.get(record_type, "unknown"), name)


def seal_record(
    payload: bytes, key: bytes, key_version: int, record_type: int, name: str, salt: bytes
) -> bytes:
    head = bytes([1, record_type]) + u32(key_version) + salt
    own = record_key(key, salt, record_type, name)
    return head + seal(own, ZERO_NONCE, payload, head + name.encode())


def open_record(data: bytes, keys: Mapping[int, bytes], record_type: int, name: str) -> bytes:
    if data[:1] not in (b"", b"\x01"):
        raise Refused("version", f"record version {data[0]}")
    if len(data) < 38 or data[1] != record_type:
        raise Refused("record", "cut, or of another type")
    version, head = int.from_bytes(data[2:6]), data[:22]
    if version not in keys:
        raise Refused("key", f"no key {version}")
    own = record_key(keys[version], head[6:], record_type, name)
    return unseal("record", own, ZERO_NONCE, data[22:], head + name.encode())
