"""The settings index: one sealed record of what is set by API rather than in the YAML."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from sseproxy.errors import FormatError, KeyManagementError
from sseproxy.format.record import RecordType, open_record, seal_record
from sseproxy.keys.bucket_settings import BucketSettings, decode_bucket, encode_bucket
from sseproxy.keys.model import Keyring, settings_name

# Half of what is read of a record: one that can't be read again would stop all writes.
MAX_SETTINGS_BYTES = 8 * 1024 * 1024

_TABLES = ("buckets", "grants", "moves")
_FIELDS = {"epoch", "keyring", *_TABLES}


@dataclass(frozen=True, slots=True)
class Settings:
    """What buckets have by API, the table of key moves, and grants (format.md 5.1).

    keyring: id of the keyring it belongs to, 16 bytes. epoch: rises by one with every change.
    """

    keyring: bytes
    epoch: int
    buckets: Mapping[str, BucketSettings]
    moves: Mapping[str, Any]
    grants: Mapping[str, Any]

    def of(self, bucket: str) -> BucketSettings:
        """What is set for a bucket."""
        return self.buckets.get(bucket, _NOTHING)

    def with_bucket(self, bucket: str, entry: BucketSettings) -> Settings:
        """The next settings, with another entry for a bucket; these if nothing changes."""
        if replace(entry, epoch=0) == replace(self.of(bucket), epoch=0):
            return self
        buckets = {name: held for name, held in self.buckets.items() if name != bucket}
        if entry.says_anything:
            buckets[bucket] = replace(entry, epoch=self.epoch + 1)
        return replace(self, epoch=self.epoch + 1, buckets=buckets)


_NOTHING = BucketSettings()


def first_settings(keyring_id: bytes) -> Settings:
    """The settings of a new keyring: nothing set, epoch 1."""
    return Settings(keyring=keyring_id, epoch=1, buckets={}, moves={}, grants={})


def seal_settings(settings: Settings, keyring: Keyring) -> bytes:
    """The record of the settings, under the active attribute key (format.md 5).

    Raises KeyManagementError if there is more than fits into one.
    """
    document = {
        "buckets": {name: encode_bucket(entry) for name, entry in settings.buckets.items()},
        "epoch": settings.epoch,
        "grants": settings.grants,
        "keyring": settings.keyring.hex(),
        "moves": settings.moves,
    }
    payload = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    data = payload.encode()
    if len(data) > MAX_SETTINGS_BYTES:
        raise KeyManagementError("the settings index is full: remove policies that are not needed")
    version = keyring.active_attribute
    name = settings_name(settings.keyring)
    return seal_record(data, keyring.ak(version), version, RecordType.SETTINGS, name)


def open_settings(record: bytes, keyring: Keyring) -> Settings:
    """The settings in a record of this keyring's.

    Raises IntegrityError for altered or foreign bytes, KeyUnavailable for an attribute key that
    the keyring does not have, FormatError for a payload that this version does not know.
    """
    name = settings_name(keyring.id)
    payload = open_record(record, keyring.ak, RecordType.SETTINGS, name)
    try:
        return _decode(json.loads(payload), keyring.id)
    except (ValueError, TypeError) as error:
        message = f"the settings index holds what this version does not know ({error})"
        raise FormatError(message) from None


def _decode(document: Any, keyring_id: bytes) -> Settings:
    if set(document) != _FIELDS or document["keyring"] != keyring_id.hex():
        raise ValueError("unknown fields")
    epoch = document["epoch"]
    if type(epoch) is not int or epoch < 1:
        raise ValueError("epoch")
    if not all(isinstance(document[table], dict) for table in _TABLES):
        raise ValueError("tables")
    buckets = {name: decode_bucket(name, entry) for name, entry in document["buckets"].items()}
    return Settings(keyring_id, epoch, buckets, document["moves"], document["grants"])
