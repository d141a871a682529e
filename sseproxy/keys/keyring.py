"""The keyring: sealed under the root key in the store, held and kept fresh by every worker."""

from __future__ import annotations

import base64
import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

from sseproxy.errors import (
    FormatError,
    KeyManagementError,
    KeyringConflict,
    KeyringMissing,
    KeyringStale,
    KeyUnavailable,
    RootKeyError,
    SseProxyError,
)
from sseproxy.format.record import RecordType, open_record, record_key_version, seal_record
from sseproxy.keys.epochs import EpochMemory
from sseproxy.keys.model import (
    KEY_BYTES,
    KEYRING_ID_BYTES,
    KEYRING_NAME,
    Keyring,
    RecordStore,
    settings_name,
)
from sseproxy.keys.rootkey import RootKey
from sseproxy.keys.settings import Settings, open_settings
from sseproxy.secret import Secret

SETTINGS_REFRESH_S = 5.0
KEYRING_REFRESH_S = 30.0
SETTINGS_MAX_AGE_S = 30.0
KEYRING_MAX_AGE_S = 60.0

_FIELDS = {"attribute", "epoch", "etag_key", "id", "master", "name_key"}
_TIME = "%Y-%m-%dT%H:%M:%SZ"
_T = TypeVar("_T")


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


async def load_keyring(store: RecordStore, root: RootKey) -> Keyring:
    """The keyring in the store: as open_keyring; KeyringMissing if the store has none."""
    record = await store.get(KEYRING_NAME)
    if record is None:
        raise KeyringMissing(
            f"keyring {root.keyring_id.hex()} is not in the system bucket: is it the right store "
            "and bucket? Restore the record; nothing is created in its place"
        )
    return open_keyring(record.data, root)


async def load_settings(store: RecordStore, keyring: Keyring) -> Settings:
    """The settings index of a keyring: as open_settings; KeyringMissing if there is none."""
    record = await store.get(settings_name(keyring.id))
    if record is None:
        # Never "nothing set": that would turn off what was set.
        raise KeyringMissing(f"{settings_name(keyring.id)} is not in the system bucket: restore it")
    return open_settings(record.data, keyring)


@dataclass(slots=True)
class _Held(Generic[_T]):
    """Something read from the store at `at_s`; minus infinity once the store contradicts it."""

    value: _T
    at_s: float


class KeyringService:
    """Holds the current keyring and settings of a worker, and says whether they are fresh.

    `start` once, then `refresh` every SETTINGS_REFRESH_S. clock: seconds, monotonic.
    Reads go on with what is held; writes need both to be young (keys.md).
    """

    def __init__(
        self,
        store: RecordStore,
        root: RootKey,
        *,
        epochs: EpochMemory | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._root = root
        self._epochs = epochs or EpochMemory(root.keyring_id)
        self._clock = clock
        self._keyring: _Held[Keyring] | None = None
        self._settings: _Held[Settings] | None = None

    async def start(self) -> Keyring:
        """Load both; raises whatever is wrong with either (the process must not serve)."""
        await self._refresh_keyring()
        await self._refresh_settings()
        return self.for_reading()

    async def refresh(self) -> None:
        """Read again what is due; tries both, then raises the first error. Holds what it held."""
        first: SseProxyError | None = None
        for due, read in (
            (self.keyring_age_s >= KEYRING_REFRESH_S, self._refresh_keyring),
            (True, self._refresh_settings),
        ):
            try:
                if due:
                    await read()
            except SseProxyError as error:
                first = first or error
        if first is not None:
            raise first

    def for_reading(self) -> Keyring:
        """The keyring, however old. KeyringStale only before `start`."""
        if self._keyring is None:
            raise KeyringStale("the keyring has not been loaded yet")
        return self._keyring.value

    def for_writing(self) -> Keyring:
        """The keyring; KeyringStale if it is older than 60 s or the settings than 30 s."""
        keyring = self.for_reading()
        if self.keyring_age_s > KEYRING_MAX_AGE_S:
            raise KeyringStale("the keyring could not be refreshed from the system bucket")
        if self.settings_age_s > SETTINGS_MAX_AGE_S:
            raise KeyringStale("the settings could not be refreshed from the system bucket")
        return keyring

    @property
    def settings(self) -> Settings:
        """The settings last read; use after `for_writing`. KeyringStale before `start`."""
        if self._settings is None:
            raise KeyringStale("the settings have not been loaded yet")
        return self._settings.value

    @property
    def keyring_age_s(self) -> float:
        """Seconds since the keyring was asked for; infinite if not loaded or contradicted."""
        return self._age_s(self._keyring)

    @property
    def settings_age_s(self) -> float:
        """Seconds since the settings were asked for; infinite if not loaded or contradicted."""
        return self._age_s(self._settings)

    def _age_s(self, held: _Held[Any] | None) -> float:
        return math.inf if held is None else self._clock() - held.at_s

    async def _refresh_keyring(self) -> None:
        asked_s = self._clock()
        try:
            keyring = await load_keyring(self._store, self._root)
            self._epochs.check("keyring", keyring.epoch)
        except (KeyManagementError, FormatError):
            _distrust(self._keyring)
            raise
        self._keyring = _Held(keyring, asked_s)

    async def _refresh_settings(self) -> None:
        asked_s = self._clock()
        try:
            settings = await self._open_settings()
            self._epochs.check("settings", settings.epoch)
        except (KeyManagementError, FormatError):
            _distrust(self._settings)
            raise
        self._settings = _Held(settings, asked_s)

    async def _open_settings(self) -> Settings:
        try:
            return await load_settings(self._store, self.for_reading())
        except KeyUnavailable:
            # Written by a worker that already has a newer attribute key.
            await self._refresh_keyring()
            return await load_settings(self._store, self.for_reading())


def _distrust(held: _Held[Any] | None) -> None:
    """No more writes on what was held: the store answered, and contradicts it."""
    if held is not None:
        held.at_s = -math.inf


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
