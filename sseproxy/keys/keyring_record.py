"""The keyring's record: its payload as JSON, sealed under the root key (format.md 5.1)."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sseproxy.errors import FormatError, KeyringConflict, RootKeyError
from sseproxy.format.record import RecordType, open_record, record_key_version, seal_record
from sseproxy.keys.model import KEY_BYTES, KEYRING_ID_BYTES, KEYRING_NAME, Keyring
from sseproxy.keys.rootkey import RootKey
from sseproxy.secret import Secret

_FIELDS = {"attribute", "epoch", "etag_key", "id", "master", "name_key"}
_TIME = "%Y-%m-%dT%H:%M:%SZ"


def seal_keyring(keyring: Keyring, root: RootKey) -> bytes:
    """The keyring's record, sealed under the root key (format.md 5)."""
    document = {
        "attribute": _encode_versions(
            keyring.attribute, keyring.attribute_created, keyring.active_attribute
        ),
        "epoch": keyring.epoch,
        "etag_key": _encode_key(keyring.etag_key),
        "id": keyring.id.hex(),
        "master": _encode_versions(keyring.master, keyring.master_created, keyring.active_master),
        "name_key": _encode_key(keyring.name_key),
    }
    payload = json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
    return seal_record(payload, root.key, root.id, RecordType.KEYRING, KEYRING_NAME)


def open_keyring(record: bytes, root: RootKey) -> Keyring:
    """The keyring in a record, which must be the one that the root key belongs to.

    Raises RootKeyError if another root key sealed it, IntegrityError for altered bytes,
    KeyringConflict if it is another keyring, FormatError for a payload of an unknown kind.
    """
    if record_key_version(record) != root.id:
        raise RootKeyError(
            f"the store's keyring was sealed with root key {record_key_version(record):08x}, "
            f"and the one given is {root.id:08x}: restore the right root key"
        )
    payload = open_record(record, lambda _: root.key, RecordType.KEYRING, KEYRING_NAME)
    try:
        keyring = _decode(json.loads(payload))
    except (ValueError, TypeError, KeyError, AttributeError):
        raise FormatError("the keyring holds what this version does not know") from None
    if keyring.id != root.keyring_id:
        raise KeyringConflict(
            f"the store holds keyring {keyring.id.hex()}, "
            f"and the root key belongs to {root.keyring_id.hex()}"
        )
    return keyring


def _encode_key(key: Secret) -> str:
    return base64.b64encode(key.reveal()).decode()


def _encode_versions(
    keys: Mapping[int, Secret], created: Mapping[int, datetime], active: int
) -> dict[str, Any]:
    versions = {
        str(version): {"created": created[version].strftime(_TIME), "key": _encode_key(key)}
        for version, key in keys.items()
    }
    return {"active": active, "versions": versions}


def _decode(document: Any) -> Keyring:
    if set(document) != _FIELDS or len(document["id"]) != 2 * KEYRING_ID_BYTES:
        raise ValueError
    master, master_created = _decode_versions(document["master"])
    attribute, attribute_created = _decode_versions(document["attribute"])
    return Keyring(
        id=bytes.fromhex(document["id"]),
        epoch=_decode_number(document["epoch"]),
        master=master,
        active_master=document["master"]["active"],
        master_created=master_created,
        attribute=attribute,
        active_attribute=document["attribute"]["active"],
        attribute_created=attribute_created,
        name_key=_decode_key(document["name_key"]),
        etag_key=_decode_key(document["etag_key"]),
    )


def _decode_versions(document: Any) -> tuple[dict[int, Secret], dict[int, datetime]]:
    keys: dict[int, Secret] = {}
    created: dict[int, datetime] = {}
    for text, entry in document["versions"].items():
        version = _decode_number(int(text))
        keys[version] = _decode_key(entry["key"])
        created[version] = datetime.strptime(entry["created"], _TIME).replace(tzinfo=UTC)
    if _decode_number(document["active"]) not in keys:
        raise ValueError
    return keys, created


def _decode_number(value: Any) -> int:
    if type(value) is not int or not 1 <= value < 2**32:
        raise ValueError
    return value


def _decode_key(text: str) -> Secret:
    key = base64.b64decode(text, validate=True)
    if len(key) != KEY_BYTES:
        raise ValueError
    return Secret(key)
