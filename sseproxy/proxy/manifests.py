"""Manifests of multipart objects: written before an object exists, found again when it is read.

A manifest that is not there, or not the object's, is an error: nothing else knows where the
parts of the object begin, and a short or a foreign list of them must not pass for it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from itertools import accumulate
from typing import Protocol

from sseproxy.errors import IntegrityError, ManifestMissing
from sseproxy.format.layout import sealed_part_size
from sseproxy.format.manifest import Manifest
from sseproxy.format.names import ObjectName, manifest_folder, manifest_name
from sseproxy.format.record import RecordType, open_record, seal_record
from sseproxy.keys.keyring import KeyringService
from sseproxy.keys.model import StoredRecord
from sseproxy.metrics import Metrics
from sseproxy.proxy.cache import SealedObject
from sseproxy.secret import Secret

# Reads the 64 bytes of the stored object that begin at an offset.
ReadHeader = Callable[[int], Awaitable[bytes]]

_Key = tuple[bytes, str, int]


class Records(Protocol):
    """The system bucket, as far as manifests need it."""

    async def get(self, name: str) -> StoredRecord | None: ...
    async def put(self, name: str, data: bytes) -> str: ...
    async def list(self, prefix: str) -> list[str]: ...


class Manifests:
    """The manifests of a deployment, those read last remembered.

    parts: how many parts the remembered ones may have together (about 300 bytes each).
    """

    def __init__(
        self, records: Records, keys: KeyringService, metrics: Metrics, *, parts: int = 100_000
    ) -> None:
        self._records, self._keys = records, keys
        self._known: OrderedDict[_Key, Manifest] = OrderedDict()
        self._limit, self._held = parts, 0
        self._hit = metrics.cache_lookups.labels("manifests", "hit")
        self._miss = metrics.cache_lookups.labels("manifests", "miss")
        metrics.cache_entries.labels("manifests").set_function(lambda: len(self._known))

    async def write(
        self, manifest: Manifest, manifest_id: bytes, composite: str, data_ak_version: int
    ) -> str:
        """Seal and store a manifest; its record's name (docs/format.md 5.4).

        composite: from `composite_of`. data_ak_version: of the envelope that names the manifest.
        Raises KeyringStale, KeyUnavailable, StoreError.
        """
        keyring = self._keys.for_writing()
        name = manifest_name(keyring.name_key, manifest_id, composite)
        ak = keyring.ak(data_ak_version)
        payload = manifest.encode()
        record = seal_record(payload, ak, data_ak_version, RecordType.MANIFEST, name)
        await self._records.put(name, record)
        return name

    async def find(
        self, state: SealedObject, name: ObjectName, read_header: ReadHeader
    ) -> Manifest:
        """The manifest of a multipart object.

        name: the object's; read_header: of the very object. Raises IntegrityError, FormatError,
        KeyUnavailable, StoreError.
        """
        key = _key(state)
        known = self._known.get(key)
        if known is not None:
            self._hit.inc()
            self._known.move_to_end(key)
            _check(known, state, name)
            return known
        self._miss.inc()
        manifest = await self._fetch(key[0], state, name, read_header)
        self._remember(key, manifest)
        return manifest

    def forget(self, state: SealedObject) -> None:
        """Not to be trusted again: the object's bytes were not what its manifest says."""
        dropped = self._known.pop(_key(state), None)
        self._held -= len(dropped.parts) if dropped is not None else 0

    async def _fetch(
        self, manifest_id: bytes, state: SealedObject, name: ObjectName, read_header: ReadHeader
    ) -> Manifest:
        """The one that the store's ETag names, else the one of those there that fits."""
        own = manifest_name(self._keys.for_reading().name_key, manifest_id, state.store_etag)
        record = await self._records.get(own)
        if record is not None:
            manifest = self._opened(record.data, own, state)
            _check(manifest, state, name)
            return manifest
        candidates: list[Manifest] = []
        names = await self._records.list(manifest_folder(manifest_id))
        for other in names:
            record = await self._records.get(other)
            if record is None:
                continue
            manifest = self._opened(record.data, other, state)
            manifest.check(name, state.envelope.data_id)
            if manifest.sealed_size == state.sealed_size:
                candidates.append(manifest)
        if not names:
            raise ManifestMissing(
                f"the manifest of a multipart object is gone: {own} and all others of its folder; "
                "if it can't be restored, `sseproxy repair` rebuilds it",
            )
        return await _decide(candidates, read_header)

    def _opened(self, data: bytes, full_name: str, state: SealedObject) -> Manifest:
        keyring, wanted = self._keys.for_reading(), state.envelope.data_ak_version

        def key_of(version: int) -> Secret:
            if version != wanted:
                raise IntegrityError("record", "a manifest under another key than its object's")
            return keyring.ak(version)

        payload = open_record(data, key_of, RecordType.MANIFEST, full_name)
        return Manifest.decode(payload)

    def _remember(self, key: _Key, manifest: Manifest) -> None:
        replaced = self._known.pop(key, None)
        self._held -= len(replaced.parts) if replaced is not None else 0
        self._known[key] = manifest
        self._held += len(manifest.parts)
        while self._held > self._limit and len(self._known) > 1:
            _, dropped = self._known.popitem(last=False)
            self._held -= len(dropped.parts)


def _key(state: SealedObject) -> _Key:
    manifest_id = state.attributes.manifest_id
    assert manifest_id is not None, "only asked for a multipart object"
    return manifest_id, state.store_etag, state.sealed_size


def _check(manifest: Manifest, state: SealedObject, name: ObjectName) -> None:
    """Raise IntegrityError unless the manifest is that of this object, to the byte."""
    manifest.check(name, state.envelope.data_id)
    if manifest.sealed_size != state.sealed_size:
        raise IntegrityError("size", "the stored size is not that of the manifest's parts")


async def _decide(candidates: list[Manifest], read_header: ReadHeader) -> Manifest:
    """Which of several lists of parts was completed: the part headers tell (section 5.4)."""
    left = [(manifest, _headers(manifest)) for manifest in candidates]
    while len(left) > 1:
        (one, ones), (_, others) = left[:2]
        offset = min((at for at in ones if ones[at] != others.get(at)), default=None)
        if offset is None:
            # The same parts twice. What repair has made says less of them.
            left = [left[1 if one.rebuilt else 0], *left[2:]]
            continue
        stored = await read_header(offset)
        left = [each for each in left if each[1].get(offset) == stored]
    if not left:
        raise ManifestMissing("no manifest there is fits the stored object")
    return left[0][0]


def _headers(manifest: Manifest) -> dict[int, bytes]:
    """The part headers by their place in the stored object."""
    sizes = (sealed_part_size(part.plain_size) for part in manifest.parts)
    places = accumulate(sizes, initial=0)
    return {
        place: manifest.header(index).pack()
        for index, place in zip(range(len(manifest.parts)), places, strict=False)
    }
