"""The settings index: one sealed record of what is set by API rather than in the YAML."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sseproxy.errors import FormatError
from sseproxy.format.record import RecordType, open_record, seal_record
from sseproxy.keys.model import Keyring, settings_name

_TABLES = ("buckets", "grants", "moves")
_FIELDS = {"epoch", "keyring", *_TABLES}


@dataclass(frozen=True, slots=True)
class Settings:
    """Bucket encryption set by API, the table of key moves, and grants (format.md 5).

    keyring: id of the keyring it belongs to, 16 bytes. epoch: rises by one with every change.
    """

    keyring: bytes
    epoch: int
    buckets: Mapping[str, Any]
    moves: Mapping[str, Any]
    grants: Mapping[str, Any]


def first_settings(keyring_id: bytes) -> Settings:
    """The settings of a new keyring: nothing set, epoch 1."""
    return Settings(keyring=keyring_id, epoch=1, buckets={}, moves={}, grants={})


def seal_settings(settings: Settings, keyring: Keyring) -> bytes:
    """The record of the settings, under the active attribute key (format.md 5)."""
    document = {
        "buckets": settings.buckets,
        "epoch": settings.epoch,
        "grants": settings.grants,
        "keyring": settings.keyring.hex(),
        "moves": settings.moves,
    }
    payload = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    version = keyring.active_attribute
    name = settings_name(settings.keyring)
    return seal_record(payload.encode(), keyring.ak(version), version, RecordType.SETTINGS, name)


def open_settings(record: bytes, keyring: Keyring) -> Settings:
    """The settings in a record of this keyring's.

    Raises IntegrityError for altered or foreign bytes, KeyUnavailable for an attribute key that
    the keyring does not have, FormatError for a payload that this version does not know.
    """
    name = settings_name(keyring.id)
    payload = open_record(record, keyring.ak, RecordType.SETTINGS, name)
    try:
        return _decode(json.loads(payload), keyring.id)
    except (ValueError, TypeError):
        raise FormatError("the settings index holds what this version does not know") from None


def _decode(document: Any, keyring_id: bytes) -> Settings:
    if set(document) != _FIELDS or document["keyring"] != keyring_id.hex():
        raise ValueError
    epoch = document["epoch"]
    if type(epoch) is not int or epoch < 1:
        raise ValueError
    if not all(isinstance(document[table], dict) for table in _TABLES):
        raise ValueError
    return Settings(keyring_id, epoch, document["buckets"], document["moves"], document["grants"])
