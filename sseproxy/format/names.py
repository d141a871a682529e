"""Unambiguous concatenation, key derivation, and names: of objects, and of multipart records."""

from __future__ import annotations

import hashlib
import hmac
import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from sseproxy.secret import Secret

KEY_BYTES = 32
SALT_BYTES = 16
ID_BYTES = 16

_SHA256 = SHA256()
_pack_length = struct.Struct(">I").pack
_NAME_BYTES = 16
_MD5_HEX = re.compile("[0-9a-f]{32}")


def lp(*items: bytes | str) -> bytes:
    """Concatenate items so that no two sequences of items give the same bytes (section 1).

    Each item is prefixed by its length as u32; strings are UTF-8. Numbers are packed by the caller.
    """
    parts: list[bytes] = []
    for item in items:
        data = item.encode() if isinstance(item, str) else item
        parts += (_pack_length(len(data)), data)
    return b"".join(parts)


def hkdf(key: Secret, salt: bytes, *info: bytes | str) -> Secret:
    """Derive a 32-byte key: HKDF-SHA256 with info = lp(*info), the label first (section 1)."""
    kdf = HKDF(algorithm=_SHA256, length=KEY_BYTES, salt=salt, info=lp(*info))
    return Secret(kdf.derive(key.reveal()))


@dataclass(frozen=True, slots=True)
class ObjectName:
    """The name that binds an envelope to its place: bucket identity and decoded key (section 1)."""

    bucket_identity: str
    key: str

    def lp(self) -> bytes:
        """The name as it enters authenticated data: lp(bucket identity, key)."""
        return lp(self.bucket_identity, self.key)


def keyed_name(name_key: Secret, *items: str) -> str:
    """What stands for `items` in a record's name: 32 hex digits that tell nothing (section 5.2)."""
    digest = hmac.digest(name_key.reveal(), lp("sseproxy/v1/name", *items), "sha256")
    return digest[:_NAME_BYTES].hex()


def upload_folder(name_key: Secret, name: ObjectName, upload_id: str) -> str:
    """Where the records of one upload lie, with the slash at its end (section 5.2)."""
    return f"u/{keyed_name(name_key, 'upload', name.bucket_identity, name.key, upload_id)}/"


def upload_record_name(folder: str) -> str:
    """The full name of the upload record in an upload's folder (section 5.2)."""
    return folder + "upload"


def composite_of(store_etags: Sequence[str]) -> str:
    """What names a manifest: the parts' ETags of the store, in order and unquoted (section 5.2).

    The ETag that S3 gives the object, if those are MD5 digests. ValueError if there are none.
    """
    if not store_etags:
        raise ValueError("an object has at least one part")
    if all(_MD5_HEX.fullmatch(etag) for etag in store_etags):
        joined = hashlib.md5(bytes.fromhex("".join(store_etags)), usedforsecurity=False)
        return f"{joined.hexdigest()}-{len(store_etags)}"
    return hashlib.sha256(lp(*store_etags)).hexdigest()


def manifest_folder(manifest_id: bytes) -> str:
    """Where the manifests of one upload lie, with the slash at its end (section 5.2)."""
    return f"m/{manifest_id.hex()}/"


def manifest_name(name_key: Secret, manifest_id: bytes, composite: str) -> str:
    """The full name of a manifest; composite: from `composite_of` (section 5.2)."""
    return manifest_folder(manifest_id) + keyed_name(name_key, "manifest", composite)
