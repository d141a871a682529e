"""Keyring and settings as every worker holds them: read from the store, kept fresh, changed."""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sseproxy.errors import (
    FormatError,
    KeyManagementError,
    KeyringMissing,
    KeyringStale,
    KeyUnavailable,
    RecordConflict,
    SseProxyError,
)
from sseproxy.keys.epochs import EpochMemory
from sseproxy.keys.keyring_record import open_keyring
from sseproxy.keys.model import KEYRING_NAME, Keyring, RecordStore, settings_name
from sseproxy.keys.rootkey import RootKey
from sseproxy.keys.settings import Settings, open_settings, seal_settings

SETTINGS_REFRESH_S = 4.0  # so that a change is seen everywhere within 5 s
KEYRING_REFRESH_S = 30.0
SETTINGS_MAX_AGE_S = 30.0
KEYRING_MAX_AGE_S = 60.0
UPDATE_ATTEMPTS = 20

_T = TypeVar("_T")


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
    settings, _ = await _load_settings(store, keyring)
    return settings


async def _load_settings(store: RecordStore, keyring: Keyring) -> tuple[Settings, str]:
    """The settings and the ETag of their record."""
    record = await store.get(settings_name(keyring.id))
    if record is None:
        # Never "nothing set": that would turn off what was set.
        raise KeyringMissing(f"{settings_name(keyring.id)} is not in the system bucket: restore it")
    return open_settings(record.data, keyring), record.etag


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
        # An answer that is older than a change of our own would look like a playback.
        self._settings_turn = asyncio.Lock()

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

    async def refresh_settings(self) -> Settings:
        """Read the settings now. Raises what is wrong with them, and holds what it held."""
        await self._refresh_settings()
        return self.settings

    async def update_settings(self, change: Callable[[Settings], Settings]) -> Settings:
        """Apply a change to the settings as they are in the store, and write them back.

        change: from the newest settings to those of the next epoch (`Settings.with_bucket`), or
        to the same, which writes nothing; it runs again when another worker was faster, so it
        must have no effect of its own. It may raise to give up. Returns what is held from now
        on. Raises KeyringStale as `for_writing` and for a record that is gone or not to be
        trusted, RecordConflict after too many others were faster, StoreError: then the change may
        or may not have been made.
        """
        self.for_writing()
        async with self._settings_turn:
            for attempt in range(UPDATE_ATTEMPTS):
                etag = await self._read_to_change()
                changed = change(self.settings)
                if changed == self.settings:
                    return changed
                try:
                    await self._write_settings(changed, etag)
                except RecordConflict:
                    await asyncio.sleep(random.uniform(0, 0.01 * (attempt + 1)))  # noqa: S311  # only to be apart
                else:
                    return changed
        raise RecordConflict("the settings index keeps changing; try again")

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
        async with self._settings_turn:
            await self._read_settings()

    async def _read_settings(self) -> str:
        """Hold what the store has now; returns the ETag of the record."""
        asked_s = self._clock()
        try:
            settings, etag = await self._open_settings()
            self._epochs.check("settings", settings.epoch)
        except (KeyManagementError, FormatError):
            _distrust(self._settings)
            raise
        self._settings = _Held(settings, asked_s)
        return etag

    async def _read_to_change(self) -> str:
        try:
            return await self._read_settings()
        except (KeyManagementError, FormatError) as error:
            raise KeyringStale(f"the settings can't be changed: {error}") from error

    async def _write_settings(self, settings: Settings, etag: str) -> None:
        """Write over the record with that ETag, and hold what was written."""
        keyring, asked_s = self.for_reading(), self._clock()
        data = seal_settings(settings, keyring)
        await self._store.put(settings_name(keyring.id), data, if_match=etag)
        self._epochs.check("settings", settings.epoch)
        self._settings = _Held(settings, asked_s)

    async def _open_settings(self) -> tuple[Settings, str]:
        try:
            return await _load_settings(self._store, self.for_reading())
        except KeyUnavailable:
            # Written by a worker that already has a newer attribute key.
            await self._refresh_keyring()
            return await _load_settings(self._store, self.for_reading())


def _distrust(held: _Held[Any] | None) -> None:
    """No more writes on what was held: the store answered, and contradicts it."""
    if held is not None:
        held.at_s = -math.inf
