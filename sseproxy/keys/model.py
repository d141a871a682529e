"""What key management works on: the keyring, and the records it is kept in."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from sseproxy.errors import KeyUnavailable
from sseproxy.secret import Secret

KEY_BYTES = 32
KEYRING_ID_BYTES = 16
KEYRING_NAME = "keyring"


def settings_name(keyring_id: bytes) -> str:
    """The object name of a keyring's settings index in the system bucket (format.md 5)."""
    return f"settings-{keyring_id.hex()}"


class StoredRecord(Protocol):
    """A record as the system bucket gives it: its bytes, and the ETag that a change names."""

    @property
    def data(self) -> bytes: ...
    @property
    def etag(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Record:
    """A plain StoredRecord."""

    data: bytes
    etag: str


class RecordStore(Protocol):
    """The system bucket, as far as keys need it.

    `put` returns the new ETag; with `if_match` (an ETag) or `if_absent` it raises RecordConflict
    when the record is not in that state. `get` gives None for a record that is not there;
    `delete` of one is no error. All raise StoreError when the store fails.
    """

    async def get(self, name: str) -> StoredRecord | None: ...
    async def put(
        self, name: str, data: bytes, *, if_match: str | None = None, if_absent: bool = False
    ) -> str: ...
    async def delete(self, name: str) -> None: ...
    async def list(self, prefix: str) -> list[str]: ...


@dataclass(frozen=True, slots=True)
class Keyring:
    """The keys of a deployment (format.md 2 and 5). Immutable: a rotation makes another one.

    id: 16 bytes. epoch: rises by one with every change. master, attribute: versions (from 1) of
    32 bytes each, with the time each was made; name_key, etag_key: 32 bytes, never rotated.
    """

    id: bytes
    epoch: int
    master: Mapping[int, Secret]
    active_master: int
    master_created: Mapping[int, datetime]
    attribute: Mapping[int, Secret]
    active_attribute: int
    attribute_created: Mapping[int, datetime]
    name_key: Secret
    etag_key: Secret

    def ak(self, version: int) -> Secret:
        """The attribute key of that version; KeyUnavailable if the keyring has none."""
        return self._version(self.attribute, version, "attribute key")

    def master_key(self, version: int) -> Secret:
        """The master key of that version; KeyUnavailable if the keyring has none."""
        return self._version(self.master, version, "master key")

    def _version(self, versions: Mapping[int, Secret], version: int, what: str) -> Secret:
        try:
            return versions[version]
        except KeyError:
            message = f"keyring {self.id.hex()} (epoch {self.epoch}) has no {what} {version}"
            raise KeyUnavailable(message) from None


def new_key() -> Secret:
    """A random 32-byte key."""
    return Secret(secrets.token_bytes(KEY_BYTES))


def new_keyring_id() -> bytes:
    """A random keyring id, 16 bytes."""
    return secrets.token_bytes(KEYRING_ID_BYTES)


def new_keyring(keyring_id: bytes, created: datetime) -> Keyring:
    """The first keyring of a deployment: epoch 1, version 1 of every key, all random."""
    # The record keeps whole seconds (format.md 5).
    created = created.replace(microsecond=0)
    return Keyring(
        id=keyring_id,
        epoch=1,
        master={1: new_key()},
        active_master=1,
        master_created={1: created},
        attribute={1: new_key()},
        active_attribute=1,
        attribute_created={1: created},
        name_key=new_key(),
        etag_key=new_key(),
    )
